// Fetches what the address stands for with the token, and lets it take this page's place.
const form = document.getElementById("form");
const field = document.getElementById("token");
const trouble = document.getElementById("trouble");

const become = page => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(page.querySelector("style").textContent);
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([page.querySelector("script").textContent], { type: "text/javascript" }));
  page.querySelector("script").remove();
  document.title = page.title;
  document.head.querySelector("style").remove();
  document.adoptedStyleSheets = [sheet];
  document.body.replaceWith(document.adoptNode(page.body));
  document.body.append(script);
};

const open = async token => {
  const answer = await fetch(location.pathname + location.search, { headers: { Authorization: `Bearer ${token}` } });
  if (answer.status === 401) return false;
  sessionStorage.setItem("token", token);
  const text = await answer.text();
  if ((answer.headers.get("content-type") || "").startsWith("text/html")) {
    become(new DOMParser().parseFromString(text, "text/html"));
  } else {
    const shown = document.createElement("pre");
    shown.textContent = text;
    document.body.replaceChildren(shown);
  }
  return true;
};

const attempt = async (token, refused) => {
  try {
    if (await open(token)) return;
    sessionStorage.removeItem("token");
    trouble.textContent = refused;
  } catch (error) {
    trouble.textContent = `No answer: ${error.message}`;
  }
};

form.addEventListener("submit", event => {
  event.preventDefault();
  attempt(field.value.trim(), "This token is not the one.");
});
const kept = sessionStorage.getItem("token");
if (kept) attempt(kept, "");

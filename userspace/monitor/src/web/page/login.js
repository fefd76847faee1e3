// Fetches what the address stands for with the token, and lets it take this page's place.
const form = document.getElementById("form");
const field = document.getElementById("token");
const trouble = document.getElementById("trouble");

// Styles and scripts are taken out before the rest is parsed: this page's policy allows neither in a document made here.
const become = text => {
  const taken = {};
  const rest = text.replace(/<(style|script)>([^]*?)<\/\1>/g, (_, name, inside) => { taken[name] = inside; return ""; });
  const page = new DOMParser().parseFromString(rest, "text/html");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(taken.style);
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([taken.script], { type: "text/javascript" }));
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
    become(text);
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
field.focus();
const kept = sessionStorage.getItem("token");
if (kept) attempt(kept, "");

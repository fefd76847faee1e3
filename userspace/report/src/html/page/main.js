drawCounters();
drawActivity();
drawFlame();
drawSites();
drawHistograms();
drawTraced();
drawings.forEach(draw => draw());

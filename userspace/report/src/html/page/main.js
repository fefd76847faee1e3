drawCounters();
drawActivity();
drawFlame();
drawSites();
drawHistograms();
drawTraced();
drawHeat();
drawWorking();
drawings.forEach(draw => draw());

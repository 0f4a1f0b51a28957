"use strict";
(() => {
  const PRINTED = 660;
  const text = document.getElementById("panels").textContent;
  const plots = [...document.querySelectorAll(".plot")];
  const config = { displayModeBar: false, responsive: false, showTips: false };

  const put = (target, path, value) => {
    const keys = path.split(".");
    const last = keys.pop();
    let at = target;
    for (const key of keys) at = at[key] = at[key] ?? {};
    at[last] = value;
  };

  const draw = (element, all, width) => {
    const panel = all[element.id];
    const narrow = width < panel.narrow_below;
    const chart = panel.figure;
    if (narrow) for (const [path, value] of Object.entries(panel.narrow)) put(chart, path, value);
    const height = (narrow && panel.narrow_height) || panel.height;
    element.style.height = `${height}px`;
    const layout = { ...chart.layout, width, height, autosize: false };
    element.dataset.width = width;
    return Plotly.react(element, chart.data, layout, config);
  };

  const drawAll = (force, printed) => {
    const all = JSON.parse(text);
    return Promise.all(plots.map((element) => {
      const width = printed ? Math.min(PRINTED, element.clientWidth || PRINTED) : Math.floor(element.clientWidth);
      if (!width || (!force && Number(element.dataset.width) === width)) return null;
      return draw(element, all, printed ? PRINTED : width);
    }));
  };

  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawAll(false, false), 150);
  });
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
    drawAll(true, true);
  });
  window.addEventListener("afterprint", () => drawAll(true, false));
  drawAll(true, false).then(() => { document.documentElement.dataset.drawn = "yes"; });
})();

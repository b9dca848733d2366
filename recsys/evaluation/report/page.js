"use strict";
// Draws every figure of the page from the data block beside it. Needs vegaEmbed; loads nothing.
(() => {
  // "ast" reads Vega's expressions with an interpreter, so that the page needs no permission to evaluate text as code.
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };

  async function draw(figure) {
    const place = figure.querySelector(".chart");
    const spec = JSON.parse(document.getElementById(`spec-${figure.dataset.chart}`).textContent);
    try {
      await vegaEmbed(place, spec, options);
      figure.dataset.drawn = "yes";
    } catch (error) {
      figure.dataset.drawn = "no";
      place.textContent = "This chart could not be drawn; its numbers are below.";
      place.classList.add("failed");
      console.error(error);
    }
  }

  // A link leads to a definition that may be folded away, and on paper nothing can be unfolded.
  const definitions = document.getElementById("definitions");
  if (definitions) {
    const open = () => { definitions.open = true; };
    for (const link of document.querySelectorAll("a.term")) link.addEventListener("click", open);
    addEventListener("beforeprint", open);
  }

  Promise.all([...document.querySelectorAll("figure[data-chart]")].map(draw)).then(() => {
    document.documentElement.dataset.ready = "yes";
  });
})();

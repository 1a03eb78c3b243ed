// Shows %%assistant cells in JupyterLab as what they are, Markdown prompts, instead of colouring them as Python; and
// lets screen readers have the descriptions of our pictures, which JupyterLab keeps to itself.
//
// This file is the source and what is shipped. JupyterLab loads a prebuilt extension as a container of webpack's module
// federation: an object with `init(sharedScope)` and `get(module)`, which this is, by hand, so that nothing has to be
// built. It changes how a notebook is shown and nothing else: no text, no metadata, nothing that is saved.

(() => {
  const NAME = "ipython-assistant";
  const PROMPT = "text/x-ipythongfm"; // JupyterLab's name for Markdown with LaTeX
  const MAGIC = /^\s*%%assistant(?=\s|$)/;
  let scope = {};

  /** What the running JupyterLab shares under this name, in its newest version. */
  async function shared(name) {
    const versions = scope[name];
    if (!versions) throw new Error(`${NAME}: this JupyterLab does not share ${name}`);
    const newest = Object.keys(versions).sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).at(-1);
    return (await versions[newest].get())();
  }

  function watchPanel(panel, languages) {
    const watched = new WeakSet();
    const wanted = (model) => {
      if (MAGIC.test(model.sharedModel.getSource())) return PROMPT;
      return model.mimeType === PROMPT ? panel.content.codeMimetype : model.mimeType;
    };
    const colour = async (model) => {
      if (model.mimeType === wanted(model)) return;
      // The editor shows a language once it is loaded, and whichever comes last stays: the old one has to be there
      // before the new one is asked for.
      await languages.getLanguage(model.mimeType);
      const mimeType = wanted(model);
      if (model.mimeType !== mimeType) model.mimeType = mimeType;
    };
    const watchCells = () => {
      for (const { model } of panel.content.widgets) {
        if (model.type !== "code" || watched.has(model)) continue;
        watched.add(model);
        model.sharedModel.changed.connect(() => colour(model));
        // The notebook sets it for all cells when its kernel says which language it speaks.
        model.mimeTypeChanged.connect(() => colour(model));
        colour(model);
      }
    };
    panel.content.modelContentChanged.connect(watchCells);
    panel.content.modelChanged.connect(watchCells);
    panel.context.ready.then(watchCells);
  }

  /** Give the pictures of an answer the description that their metadata holds. */
  function describe(cell) {
    cell.outputArea?.widgets.forEach((shown, place) => {
      const metadata = cell.model.outputs.get(place)?.metadata;
      if (metadata?.ipython_assistant?.output !== "picture") return;
      const alt = Object.values(metadata).find((of) => typeof of?.alt === "string")?.alt;
      for (const image of shown.node.querySelectorAll("img:not([alt])")) {
        if (alt) image.alt = alt;
      }
    });
  }

  function watchPictures(panel) {
    const isOrHasPicture = (node) => node.nodeName === "IMG" || node.querySelector?.("img");
    const observer = new MutationObserver((changes) => {
      if (changes.some(({ addedNodes }) => [...addedNodes].some(isOrHasPicture))) panel.content.widgets.forEach(describe);
    });
    observer.observe(panel.content.node, { childList: true, subtree: true });
    panel.disposed.connect(() => observer.disconnect());
  }

  async function extension() {
    const { INotebookTracker } = await shared("@jupyterlab/notebook");
    const { IEditorLanguageRegistry } = await shared("@jupyterlab/codemirror");
    const plugin = {
      id: `${NAME}:prompts`,
      description: "Shows %%assistant cells as Markdown, and describes the pictures of answers.",
      autoStart: true,
      requires: [INotebookTracker, IEditorLanguageRegistry],
      activate: (_app, notebooks, languages) => {
        const watch = (panel) => {
          watchPanel(panel, languages);
          watchPictures(panel);
        };
        notebooks.forEach(watch);
        notebooks.widgetAdded.connect((_tracker, panel) => watch(panel));
      },
    };
    return () => ({ __esModule: true, default: plugin });
  }

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB[NAME] = {
    init: (sharedScope) => {
      scope = sharedScope;
    },
    get: (module) => (module === "./extension" ? extension() : Promise.reject(new Error(`${NAME}: no ${module}`))),
  };
})();

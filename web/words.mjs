/* The words of the panels in the language of the editor, from locales/<language>/main.json. */

let texts = {};

/** Fetch all languages once; when that fails the panels show the keys. */
export async function loadWords(api) {
  try {
    const answer = await api.fetchApi("/i18n");
    texts = answer.ok ? await answer.json() : {};
  } catch (error) {
    console.warn("StepEdit: the translations could not be read", error);
  }
}

/** Words of a section ("panel", "sounds", "options") in the editor's language, else English. */
export function words(app, section) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale");
  const found = texts[language]?.stepedit ?? texts.en?.stepedit ?? {};
  return found[section] ?? {};
}

/** A function that gives a word of the panel, or its key. */
export function panelWord(app) {
  const known = words(app, "panel");
  return (key) => known[key] ?? key;
}

/** The readable name of a round's edit: of its option where it has one, else of its kind. */
export function editName(app, { kind, option, edit }) {
  const name = words(app, "options")[kind]?.[option]?.name;
  return name ?? words(app, "panel")[`kind_${kind}`] ?? edit ?? kind ?? "";
}

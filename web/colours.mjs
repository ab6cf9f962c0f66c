/* Colours of the pack's own wires, so that they differ from each other and from the core's.

   The editor forgets them when it loads a palette, so they are set again with every node. */

export const COLOURS = {
  STEPEDIT_MODEL: "#b58cff",
  STEPEDIT_EDIT: "#ffb02e",
  STEPEDIT_TOKENS: "#4fd1c5",
  STEPEDIT_VOICE: "#f687b3",
  STEPEDIT_MEL: "#f6e05e",
  STEPEDIT_WORDS: "#90cdf4",
};

/** Tell both renderers. */
export function colourWires(app) {
  const canvas = app.canvas;
  if (!canvas) return;
  Object.assign(canvas.default_connection_color_byType ?? {}, COLOURS);
  Object.assign(canvas.constructor.link_type_colors ?? {}, COLOURS);
  for (const [type, colour] of Object.entries(COLOURS))
    for (const element of [document.documentElement, document.body]) // newer and older frontends
      element.style.setProperty(`--color-datatype-${type}`, colour);
}

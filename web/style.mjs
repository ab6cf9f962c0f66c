/* The look of all panels. Colours of the editor's theme where it has them. */

export const STYLE = `
.stepedit { box-sizing: border-box; width: 100%; height: 100%; overflow: auto; contain: layout;
  font: 12px/1.35 sans-serif; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222);
  border-radius: 6px; padding: 6px; }
.stepedit:focus-visible, .stepedit :focus-visible { outline: 2px solid #6aa7ff; outline-offset: 1px; }
.stepedit button, .stepedit select, .stepedit a.save { font: inherit; color: inherit;
  cursor: pointer; background: var(--comfy-menu-bg, #333); text-decoration: none;
  border: 1px solid var(--border-color, #555); border-radius: 4px; padding: 1px 6px; }
.stepedit button[aria-disabled="true"] { opacity: 0.4; cursor: not-allowed; }
.stepedit .note { color: var(--descrip-text, #999); font-size: 10px; margin-top: 3px; }
.stepedit .note:empty { display: none; }
.stepedit .error { color: #ff9a9a; font-size: 11px; margin-top: 3px; overflow-wrap: anywhere; }
.stepedit .error:empty { display: none; }
.stepedit .warning { color: #ffcf7a; font-size: 11px; margin-bottom: 3px; padding: 2px 5px;
  border-left: 3px solid #ffb02e; overflow-wrap: anywhere; }
.stepedit .warning:empty { display: none; }

.stepedit.rounds { display: flex; flex-direction: column; }
.stepedit .list { flex: 1 1 auto; display: flex; flex-direction: column; }
.stepedit .row, .stepedit .head { display: grid; gap: 4px;
  grid-template-columns: 92px minmax(40px, 1fr) 36px 40px 40px 28px 28px; }
.stepedit .head { padding-bottom: 2px; color: var(--descrip-text, #999); font-size: 10px; }
.stepedit .head span:nth-child(n + 3) { text-align: center; overflow: hidden;
  text-overflow: ellipsis; }
.stepedit .row { flex: 1 1 30px; min-height: 30px; max-height: 90px; margin-bottom: 3px; }
.stepedit .listen { grid-column: 1 / 6; display: grid; grid-template-columns: subgrid;
  align-items: center; text-align: left; padding: 2px 0 2px 6px; min-width: 0; }
.stepedit .listen > span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.stepedit .listen > span.figure { text-align: center; }
.stepedit .listen[aria-checked="true"] { border-color: #6aa7ff; background: rgba(80, 140, 255, 0.2); }
.stepedit .good { color: #7fd48a; }
.stepedit .fair { color: #e6c25a; }
.stepedit .bad { color: #ff9a9a; font-weight: bold; }
.stepedit .wave { position: relative; height: 100%; min-height: 22px; }
.stepedit .wave svg { position: absolute; width: 100%; height: 100%; }
.stepedit .wave path { fill: currentColor; opacity: 0.75; }
.stepedit .cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: #ff9d4d; }
.stepedit .row > .mark, .stepedit .row > .save { display: grid; place-items: center; padding: 0; }
.stepedit .mark[aria-pressed="true"] { background: #b8860b; color: #fff; }
.stepedit .mark.broken[aria-pressed="true"] { background: #7a2f2f; }
.stepedit .transport { display: grid; grid-template-columns: 30px 1fr 84px; gap: 6px;
  align-items: center; }
.stepedit .transport input { width: 100%; min-width: 0; }
.stepedit .below { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-top: 3px; }
.stepedit .below label { font-size: 11px; display: flex; gap: 3px; align-items: center; }

.stepedit [hidden] { display: none !important; }
.stepedit.part { display: flex; flex-direction: column; }
.stepedit.part .chips { margin: 0; }
.stepedit .chips button[aria-checked="true"] { border-color: #6aa7ff;
  background: rgba(80, 140, 255, 0.3); }
.stepedit .view { flex: 1 1 120px; min-height: 110px; margin: 4px 0; overflow-x: auto;
  overflow-y: hidden; border: 1px solid var(--border-color, #555); border-radius: 4px;
  user-select: none; cursor: text; }
.stepedit .inner { position: relative; height: 100%; min-width: 100%; display: flex;
  flex-direction: column; }
.stepedit .sound { position: relative; flex: 1 1 60px; min-height: 60px; }
.stepedit .sound canvas { position: absolute; top: 0; height: 100%; }
.stepedit .sound .chosen { position: absolute; top: 0; bottom: 0; min-width: 2px;
  background: rgba(80, 140, 255, 0.3); border: solid #6aa7ff; border-width: 0 1px; }
.stepedit .sound .changed { position: absolute; top: 0; height: 5px; min-width: 2px;
  background: #ffb02e; }
.stepedit .words { position: relative; flex: 0 0 24px; cursor: pointer; overflow: hidden;
  border-top: 1px solid var(--border-color, #555); font-size: 11px; }
.stepedit .word { position: absolute; top: 2px; height: 18px; box-sizing: border-box;
  padding: 1px 0; text-align: center; white-space: nowrap;
  border-left: 1px solid var(--border-color, #666); }
.stepedit .word.mark { height: auto; bottom: 2px; font-size: 0; border-left-width: 2px; }
.stepedit .word[aria-selected="true"] { background: rgba(80, 140, 255, 0.5); color: #fff; }
.stepedit .word.unsure { font-style: italic; opacity: 0.75; }
.stepedit .word.lost { color: #ff9a9a; text-decoration: line-through; font-weight: bold; }
.stepedit.older > .below, .stepedit.older > .view, .stepedit.older > .said { opacity: 0.45;
  filter: grayscale(1); }
.stepedit .said { font-size: 11px; overflow-wrap: anywhere; }
.stepedit .clip { display: grid; grid-template-columns: 1fr 22px; gap: 0 6px; align-items: center;
  height: 46px; }
.stepedit .clip > .note { grid-column: 1 / 3; margin: 0; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.stepedit .clip audio { width: 100%; height: 28px; }
.stepedit .clip a { color: inherit; text-align: center; text-decoration: none; font-size: 16px; }
.stepedit .chips { display: flex; flex-wrap: wrap; gap: 3px; margin-bottom: 3px; }
.stepedit .chips button[aria-pressed="true"] { border-color: #6aa7ff; background: rgba(80, 140, 255, 0.3); }
`;

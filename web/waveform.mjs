/* A waveform to zoom, scroll and drag over: a canvas in a scrolled box, and layers above it.

   It knows seconds of the sound that is shown and nothing of words. */

import { make } from "./dom.mjs";

const DECODE_HZ = 16_000;
const BUCKET = 64; // samples; 4 ms
const LEAST_SECONDS = 0.5; // of the closest view
const ZOOM_STEP = 1.5;
const DRAG_PIXELS = 3;
const LEAST_LOUD = 0.05; // fills the height; louder sounds are drawn smaller
const peaksOf = new Map(); // address -> promise of peaks
const MOST_KEPT = 8;

/** Loudest sample of every 4 ms of a sound file, 0 to 1; computed once for each address. */
export function peaks(address) {
  if (!peaksOf.has(address)) {
    peaksOf.set(address, decoded(address));
    if (peaksOf.size > MOST_KEPT) peaksOf.delete(peaksOf.keys().next().value);
    peaksOf.get(address).catch(() => peaksOf.delete(address));
  }
  return peaksOf.get(address);
}

async function decoded(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  // an AudioContext would wait for a click; this one decodes at once, and at a rate of ours
  const context = new OfflineAudioContext(1, 1, DECODE_HZ);
  const wave = (await context.decodeAudioData(await answer.arrayBuffer())).getChannelData(0);
  const found = new Float32Array(Math.ceil(wave.length / BUCKET));
  for (let k = 0; k < wave.length; k++) {
    const size = Math.abs(wave[k]);
    const at = (k / BUCKET) | 0;
    if (size > found[at]) found[at] = size;
  }
  return found;
}

/** A box with the waveform, in which `layers` lie by percent of the whole length. */
export class Waveform {
  /** `pressed(event, seconds)`, `dragged(from, to, event)`, `moved()` when the view has changed. */
  constructor({ pressed, dragged, moved }) {
    Object.assign(this, { pressed, dragged, moved });
    this.seconds = 1;
    this.zoom = 1;
    this.byHand = false; // whether a user has chosen the zoom
    this.data = new Float32Array(0);
    this.loudest = LEAST_LOUD;
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.sound = make("div", { className: "sound" }, this.canvas);
    this.inner = make("div", { className: "inner" }, this.sound);
    this.view = make("div", { className: "view" }, this.inner);
    this.view.addEventListener("scroll", () => this.draw());
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.view.addEventListener("pointerdown", (event) => this.press(event));
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.view);
    this.watch.observe(this.sound);
  }

  /** Show a sound of so many seconds; the place that is looked at stays. */
  show(seconds, data) {
    this.seconds = Math.max(seconds, 0.001);
    this.data = data;
    this.loudest = data.reduce((most, one) => Math.max(most, one), LEAST_LOUD);
    this.setZoom(this.zoom);
  }

  get mostZoom() {
    return Math.max(1, this.seconds / LEAST_SECONDS);
  }

  /** First and last second that are seen. */
  get seen() {
    const { scrollLeft, clientWidth, scrollWidth } = this.view;
    const whole = Math.max(scrollWidth, 1);
    return [scrollLeft, scrollLeft + clientWidth].map((x) => (this.seconds * x) / whole);
  }

  /** Place of a second in percent of the whole length. */
  percent(seconds) {
    return Math.min(Math.max((100 * seconds) / this.seconds, 0), 100);
  }

  /** Width of the whole in pixels, as it is shown or would be. */
  width(zoom = this.zoom) {
    return this.view.clientWidth * zoom;
  }

  /** Width of so many seconds in pixels. */
  pixels(seconds) {
    return (this.width() * seconds) / this.seconds;
  }

  /** Put an element from one second to another. */
  span(element, from, to) {
    element.style.left = `${this.percent(from)}%`;
    element.style.width = `${this.percent(to) - this.percent(from)}%`;
  }

  /** The second under a pointer. */
  at(event) {
    const { left, width } = this.inner.getBoundingClientRect();
    const share = width > 0 ? (event.clientX - left) / width : 0;
    return Math.min(Math.max(share, 0), 1) * this.seconds;
  }

  /** Show more or less at once; what lies at `share` of the view stays there. */
  setZoom(zoom, share = 0.5) {
    const [first, last] = this.seen;
    const kept = first + share * (last - first);
    this.zoom = Math.min(Math.max(zoom, 1), this.mostZoom);
    this.inner.style.width = `${100 * this.zoom}%`;
    const { scrollWidth, clientWidth } = this.view;
    this.view.scrollLeft = (scrollWidth * kept) / this.seconds - share * clientWidth;
    this.draw();
  }

  /** What a user asks for: so many steps closer, or 0 for the whole. */
  zoomBy(steps, share = 0.5) {
    this.byHand = true;
    this.setZoom(steps ? this.zoom * ZOOM_STEP ** steps : 1, share);
  }

  /** Scroll so that a span is seen. */
  reveal(start, end) {
    const [first, last] = this.seen;
    if (start >= first && end <= last) return;
    const middle = (start + end) / 2 / this.seconds;
    this.view.scrollLeft = middle * this.view.scrollWidth - this.view.clientWidth / 2;
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.view.scrollLeft += event.deltaX || event.deltaY;
      return;
    }
    const { left, width } = this.view.getBoundingClientRect();
    const share = width > 0 ? (event.clientX - left) / width : 0.5;
    this.zoomBy(event.deltaY < 0 ? 1 : -1, share);
  }

  /** A press, and the drag that may follow it. */
  press(event) {
    if (event.button !== 0 || this.onBar(event)) return;
    const from = this.at(event);
    let isDrag = false;
    const move = (next) => {
      next.stopPropagation();
      isDrag ||= Math.abs(next.clientX - event.clientX) >= DRAG_PIXELS;
      if (isDrag) this.dragged(from, this.at(next), next);
    };
    const up = (next) => {
      for (const [kind, act] of listeners) window.removeEventListener(kind, act, true);
      if (!isDrag && next.type === "pointerup") this.pressed(event, from);
    };
    const listeners = [
      ["pointermove", move],
      ["pointerup", up],
      ["pointercancel", up],
    ];
    for (const [kind, act] of listeners) window.addEventListener(kind, act, true);
  }

  /** Whether a pointer is on the scroll bar. */
  onBar(event) {
    return event.target === this.view && event.offsetY >= this.view.clientHeight;
  }

  /** Draw what is seen, and say that it has changed. */
  draw() {
    const { canvas, view, data } = this;
    const width = view.clientWidth;
    const height = this.sound.clientHeight;
    canvas.style.left = `${view.scrollLeft}px`;
    canvas.style.width = `${width}px`;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    const [first, last] = this.seen;
    const perSecond = DECODE_HZ / BUCKET;
    const per = ((last - first) * perSecond) / canvas.width; // buckets a column
    for (let x = 0; x < canvas.width; x++) {
      const from = Math.floor(first * perSecond + x * per);
      let most = 0;
      for (let k = from; k < Math.max(from + 1, first * perSecond + (x + 1) * per); k++)
        if (data[k] > most) most = data[k];
      const tall = Math.max(1, (most / this.loudest) * (canvas.height - 4));
      pen.fillRect(x, (canvas.height - tall) / 2, 1, tall);
    }
    this.moved();
  }

  close() {
    this.watch.disconnect();
  }
}

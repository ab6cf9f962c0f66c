/* One transport for several rounds of a clip: switching continues at the same moment.

   Rounds differ in length, so a moment is a share of the length, 0 to 1. */

const FADE_SECONDS = 0.01;
let context = null;
let playing = null;

/** Plays one of several sound files, which it fetches when they are first heard. */
export class RoundPlayer {
  /** @param {string[]} addresses of the sound files; @param {() => void} changed is called after every change */
  constructor(addresses, changed) {
    this.addresses = addresses;
    this.changed = changed;
    this.buffers = new Map();
    this.index = 0;
    this.share = 0;
    this.failed = "";
    this.source = null;
    this.isPlaying = false; // asked for, also while the file is still on its way
    this.turn = 0;
  }

  /** Where the playhead is, 0 to 1. */
  get position() {
    if (!this.source) return this.share;
    const { startedAt, offset, duration } = this.source;
    return Math.min((offset + context.currentTime - startedAt) / duration, 1);
  }

  /** Hear another round from the same moment on. */
  async choose(index) {
    if (index < 0 || index >= this.addresses.length) return;
    this.share = this.position;
    this.index = index;
    if (this.isPlaying) await this.play();
    else this.changed();
  }

  /** Move to a share of the length. */
  async seek(share) {
    this.share = Math.min(Math.max(share, 0), 1);
    if (this.isPlaying) await this.play(this.share);
    else this.changed();
  }

  async toggle() {
    if (this.isPlaying) this.pause();
    else await this.play();
  }

  async play(from = null) {
    const turn = ++this.turn;
    this.isPlaying = true;
    const buffer = await this.load(this.index);
    if (turn !== this.turn) return; // paused, moved or switched meanwhile
    if (!buffer) {
      this.pause();
      return;
    }
    if (playing && playing !== this) playing.pause();
    this.stop();
    const asked = from ?? this.position; // the round before sounds until now
    const share = asked >= 1 ? 0 : asked;
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, context.currentTime);
    gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_SECONDS);
    const node = context.createBufferSource();
    node.buffer = buffer;
    node.connect(gain).connect(context.destination);
    const offset = share * buffer.duration;
    const source = { node, gain, offset, startedAt: context.currentTime, duration: buffer.duration };
    node.onended = () => this.ended(source);
    node.start(0, offset);
    this.source = source;
    this.share = share;
    playing = this;
    this.changed();
  }

  pause() {
    this.turn++;
    this.share = this.position;
    this.isPlaying = false;
    this.stop();
    this.changed();
  }

  /** Silence what sounds now, without a click. */
  stop() {
    if (!this.source) return;
    const { node, gain } = this.source;
    this.source = null;
    gain.gain.cancelScheduledValues(context.currentTime);
    gain.gain.setValueAtTime(gain.gain.value, context.currentTime);
    gain.gain.linearRampToValueAtTime(0, context.currentTime + FADE_SECONDS);
    node.stop(context.currentTime + FADE_SECONDS);
  }

  ended(source) {
    if (this.source !== source) return;
    this.source = null;
    this.isPlaying = false;
    this.share = 1;
    this.changed();
  }

  async load(index) {
    if (this.buffers.has(index)) return this.buffers.get(index);
    try {
      context ??= new AudioContext();
      if (context.state === "suspended") await context.resume();
      const answer = await fetch(this.addresses[index]);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const buffer = await context.decodeAudioData(await answer.arrayBuffer());
      this.buffers.set(index, buffer);
      this.failed = "";
      return buffer;
    } catch (error) {
      this.failed = String(error);
      return null;
    }
  }

  /** Stop for good. */
  close() {
    this.turn++;
    this.isPlaying = false;
    this.stop();
    this.buffers.clear();
    if (playing === this) playing = null;
  }
}

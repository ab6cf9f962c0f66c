/* One transport for several rounds of a clip: switching continues at the same place of the speech.

   A place is a time of the input in seconds. Rounds differ in length, and each knows where it says
   what the input says; where that is unknown, the place is the same share of the length. */

const FADE_SECONDS = 0.01;
let context = null;
let playing = null;

/** A value between two lists of rising numbers, in proportion between their neighbours. */
function along(value, from, to) {
  let k = 1;
  while (k < from.length - 1 && from[k] < value) k++;
  const span = from[k] - from[k - 1];
  const share = span > 0 ? (value - from[k - 1]) / span : 0;
  return to[k - 1] + Math.min(Math.max(share, 0), 1) * (to[k] - to[k - 1]);
}

/** Plays one of several sound files, which it fetches when they are first heard. */
export class RoundPlayer {
  /** @param {() => void} changed is called after every change */
  constructor(changed) {
    this.changed = changed;
    this.rounds = [];
    this.buffers = new Map(); // by address
    this.index = 0;
    this.place = 0;
    this.until = null; // where what plays will stop; null is the end
    this.equal = true;
    this.failed = "";
    this.source = null;
    this.isPlaying = false; // asked for, also while the file is still on its way
    this.turn = 0;
  }

  /** Play these rounds: { address, seconds, places: [[input s, round s], ...], loudness } each.
   *  What sounds now continues if it is still there. */
  setRounds(rounds) {
    const now = this.rounds[this.index]?.address;
    this.rounds = rounds;
    if (now && rounds[this.index]?.address === now) return;
    this.turn++;
    this.isPlaying = false;
    this.stop();
    this.index = Math.min(this.index, Math.max(rounds.length - 1, 0));
    this.place = 0;
  }

  /** Where the playhead is: seconds of the input. */
  get position() {
    if (!this.source) return this.place;
    const { startedAt, offset, duration, round } = this.source;
    return this.toInput(round, Math.min(offset + context.currentTime - startedAt, duration));
  }

  /** Seconds of a round -> seconds of the input. */
  toInput(round, seconds) {
    const places = this.placesOf(round);
    return along(seconds, places.map((one) => one[1]), places.map((one) => one[0]));
  }

  /** Seconds of the input -> seconds of a round. */
  toRound(round, seconds) {
    const places = this.placesOf(round);
    return along(seconds, places.map((one) => one[0]), places.map((one) => one[1]));
  }

  placesOf(round) {
    const ends = [this.rounds[0]?.seconds ?? 0, round.seconds];
    return [[0, 0], ...(round.places ?? []), ends];
  }

  /** Factor on a round's samples: all rounds as loud as the quietest of them. */
  gainOf(round) {
    const known = this.rounds.map((one) => one.loudness).filter(Number.isFinite);
    if (!this.equal || !Number.isFinite(round.loudness)) return 1;
    return 10 ** ((Math.min(...known) - round.loudness) / 20);
  }

  /** Hear all rounds equally loud, or as they are. */
  async setEqual(equal) {
    this.equal = equal;
    if (this.isPlaying) await this.play(null, this.until);
    else this.changed();
  }

  /** Switch to another round at the same place. */
  async choose(index) {
    if (index < 0 || index >= this.rounds.length) return;
    this.place = this.position;
    this.index = index;
    if (this.isPlaying) await this.play(null, this.until);
    else this.changed();
  }

  /** Move to a place. */
  async seek(place) {
    this.place = Math.min(Math.max(place, 0), this.rounds[0]?.seconds ?? 0);
    if (this.isPlaying) await this.play(this.place);
    else this.changed();
  }

  async toggle() {
    if (this.isPlaying) this.pause();
    else await this.play();
  }

  /** Play from a place, or from the playhead, to another place, or to the end. */
  async play(from = null, until = null) {
    const turn = ++this.turn;
    this.until = until;
    const round = this.rounds[this.index];
    this.isPlaying = true;
    const buffer = await this.load(round);
    if (turn !== this.turn) return; // paused, moved or switched meanwhile
    if (!buffer) {
      this.pause();
      return;
    }
    if (playing && playing !== this) playing.pause();
    const asked = from ?? this.position; // the round before sounds until now
    this.stop();
    const at = this.toRound(round, asked);
    const offset = at >= buffer.duration - FADE_SECONDS ? 0 : at;
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, context.currentTime);
    gain.gain.linearRampToValueAtTime(this.gainOf(round), context.currentTime + FADE_SECONDS);
    const node = context.createBufferSource();
    node.buffer = buffer;
    node.connect(gain).connect(context.destination);
    const stop = until === null ? buffer.duration : this.toRound(round, until);
    const duration = Math.min(Math.max(stop, offset + FADE_SECONDS), buffer.duration);
    const source = { node, gain, offset, startedAt: context.currentTime, duration, round };
    node.onended = () => this.ended(source);
    node.start(0, offset, duration - offset);
    this.source = source;
    playing = this;
    this.changed();
  }

  pause() {
    this.turn++;
    this.place = this.position;
    this.isPlaying = false;
    this.stop();
    this.changed();
  }

  /** Silence what sounds now, without a click. */
  stop() {
    if (!this.source) return;
    this.place = this.position;
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
    this.place = this.until ?? this.rounds[0]?.seconds ?? 0;
    this.changed();
  }

  async load({ address }) {
    if (this.buffers.has(address)) return this.buffers.get(address);
    try {
      if (!address) throw new Error("no file");
      context ??= new AudioContext();
      if (context.state === "suspended") await context.resume();
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const buffer = await context.decodeAudioData(await answer.arrayBuffer());
      this.buffers.set(address, buffer);
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

// chaos.mjs: misbehaviour on purpose, until it is switched off or its time is over.
//
// Each knob works by itself: slow_ms delays, fail_percent answers 503, hang_percent never answers,
// cut_percent closes the connection in the middle of the body, leak_mb keeps memory with each
// request, unhealthy makes /healthz fail. What chaos holds (timers, hanging answers, leaked
// memory) is let go when it ends.

import { HttpError, delay } from './reply.mjs';

const KNOBS = {
  slow_ms: 30_000,
  fail_percent: 100,
  hang_percent: 100,
  cut_percent: 100,
  leak_mb: 10,
};
const SECONDS_DEFAULT = 30;
const SECONDS_MAX = 600;
const LEAK_BYTES_MAX = 256 * 1024 * 1024;

const calm = () => ({
  slow_ms: 0, fail_percent: 0, hang_percent: 0, cut_percent: 0, leak_mb: 0, unhealthy: false,
});

export class Chaos {
  constructor({ random = Math.random } = {}) {
    this.random = random;
    this.state = calm();
    this.until = 0; // milliseconds since 1970; 0 = off
    this.timer = undefined;
    this.hanging = new Set();
    this.leaked = [];
    this.leakedBytes = 0;
  }

  // Replaces what was set before. Unknown knobs and values out of range change nothing.
  set(wishes) {
    const state = calm();
    const seconds = wishes.seconds ?? SECONDS_DEFAULT;
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > SECONDS_MAX) {
      throw new HttpError(400, `seconds is a whole number from 1 to ${SECONDS_MAX}.`);
    }
    for (const [knob, value] of Object.entries(wishes)) {
      if (knob === 'seconds') continue;
      if (knob === 'unhealthy' && typeof value === 'boolean') {
        state.unhealthy = value;
      } else if (knob in KNOBS && Number.isInteger(value) && value >= 0 && value <= KNOBS[knob]) {
        state[knob] = value;
      } else {
        const list = Object.entries(KNOBS).map(([name, max]) => `${name} 0..${max}`).join(', ');
        throw new HttpError(400, `Cannot set ${knob}. Possible: ${list}, unhealthy true or false.`);
      }
    }
    this.off();
    this.state = state;
    this.until = Date.now() + seconds * 1000;
    this.timer = setTimeout(() => this.off(), seconds * 1000);
    this.timer.unref();
  }

  off() {
    clearTimeout(this.timer);
    this.state = calm();
    this.until = 0;
    for (const response of this.hanging) response.destroy();
    this.hanging.clear();
    this.leaked = [];
    this.leakedBytes = 0;
  }

  report() {
    return {
      ...this.state,
      seconds_left: this.until === 0 ? 0 : Math.ceil((this.until - Date.now()) / 1000),
      leaked_mb: Math.round(this.leakedBytes / 1024 / 1024),
      hanging: this.hanging.size,
    };
  }

  // True when chaos took the request, so that nobody else may answer it.
  async strike(request, response) {
    if (this.until === 0) return false;
    const { slow_ms, fail_percent, hang_percent, cut_percent, leak_mb } = this.state;
    this.leak(leak_mb * 1024 * 1024);
    if (slow_ms > 0) await delay(slow_ms, response);
    if (response.destroyed) return true;
    if (this.happens(hang_percent)) {
      this.hanging.add(response);
      response.on('close', () => this.hanging.delete(response));
      return true;
    }
    if (this.happens(cut_percent)) {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 1000 });
      response.write('This is the first part of an answer that', () => response.destroy());
      return true;
    }
    if (this.happens(fail_percent)) throw new HttpError(503, 'This instance fails on purpose.');
    return false;
  }

  happens(percent) {
    return percent > 0 && this.random() * 100 < percent;
  }

  leak(bytes) {
    if (bytes === 0 || this.leakedBytes + bytes > LEAK_BYTES_MAX) return;
    this.leaked.push(Buffer.alloc(bytes, 1)); // filled, so that the pages are really used
    this.leakedBytes += bytes;
  }
}

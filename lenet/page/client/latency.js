// From the pen's event to the changed pixels, measured and shown.

const KEPT = 500;

export class Latency {
  constructor() {
    this.penTimes = new Map(); // by the number of the drawing
    this.nAnswers = 0;
    this.latencies = []; // of the last ones, in milliseconds, and how long they were computed
    this.server = [];
    this.shownAt = 0;
  }

  recordDrawing(number, penTime) {
    if (penTime !== null) this.penTimes.set(number, penTime);
  }

  // The answer has been drawn: its pixels change at the end of this frame.
  recordAnswer({ number, milliseconds }, say) {
    const time = this.penTimes.get(number);
    for (const older of this.penTimes.keys()) if (older <= number) this.penTimes.delete(older);
    if (time === undefined) return;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      this.nAnswers += 1;
      this.latencies.push(performance.now() - time);
      this.server.push(milliseconds);
      if (this.latencies.length > KEPT) { this.latencies.shift(); this.server.shift(); }
      if (performance.now() - this.shownAt > 500) {
        this.shownAt = performance.now();
        say(`computed in ${milliseconds.toFixed(1)} ms; pen to pixels: 95 % within `
            + `${quantile(this.latencies, 0.95).toFixed(0)} ms`);
      }
    };
    port2.postMessage(null);
  }
}

export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

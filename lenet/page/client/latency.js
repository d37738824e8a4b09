// From the pen's event to the changed pixels, measured and shown.

const KEPT = 500;

export class Latency {
  constructor() {
    this.penTimes = new Map(); // by the number of the drawing
    this.latencies = []; // of the last ones, in milliseconds
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
      this.latencies.push(performance.now() - time);
      if (this.latencies.length > KEPT) this.latencies.shift();
      if (performance.now() - this.shownAt > 500) {
        this.shownAt = performance.now();
        const sorted = [...this.latencies].sort((a, b) => a - b);
        say(`computed in ${milliseconds.toFixed(1)} ms; pen to pixels: 95 % within `
            + `${sorted[Math.floor(0.95 * sorted.length)].toFixed(0)} ms`);
      }
    };
    port2.postMessage(null);
  }
}

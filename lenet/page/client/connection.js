// The connection to the server: one drawing at a time is on its way, and the newest one is next.

const DRAWING = 1, PICTURE = 2;

export class Connection {
  // on: {hello, answer, parameters, nothing, line, ...} called with what the server sends
  constructor(on) {
    this.on = on;
    this.number = 0;
    this.isWaiting = false;
    this.next = null;
    this.open();
  }

  open() {
    const address = new URL("socket", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.isWaiting = false; };
    this.socket.onmessage = ({ data }) => this.receive(data);
    this.socket.onclose = ({ code }) => {
      this.on.closed(code);
      setTimeout(() => this.open(), 1500);
    };
  }

  // Returns what is made of a message of numbers.
  receive(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      for (const [name, value] of Object.entries(message)) {
        if (name === "nothing") this.settle(message.number);
        if (name in this.on) this.on[name](value, message);
      }
      return undefined;
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const values = new Float32Array(data, 4 + length);
    if (header.kind === "answer") this.settle(header.number);
    return this.on[header.kind](header, values);
  }

  settle(number) {
    if (number !== undefined && number !== null && number !== this.number) return;
    this.isWaiting = false;
    if (this.next) {
      const next = this.next;
      this.next = null;
      next();
    }
  }

  // Send a drawing, or remember that it is next: make() returns {bytes, ...} when its turn comes.
  draw(make) {
    if (this.isWaiting) {
      this.next = () => this.draw(make);
      return;
    }
    this.send(DRAWING, make());
  }

  sendPicture(bytes) {
    this.next = null;
    this.send(PICTURE, bytes);
  }

  send(kind, bytes) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(5 + bytes.length);
    this.number = (this.number + 1) >>> 0;
    message[0] = kind;
    new DataView(message.buffer).setUint32(1, this.number, true);
    message.set(bytes, 5);
    this.isWaiting = true;
    this.socket.send(message);
  }

  // Ask in JSON; an image of the test set takes the place of a drawing that is on its way.
  ask(request) {
    if ("test" in request) {
      this.isWaiting = false;
      this.next = null;
    }
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
  }
}

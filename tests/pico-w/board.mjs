// A Pico W for tests: MicroPython as WebAssembly, the modules of its hardware in lib/, and real TCP.
//
//     node board.mjs <micropython.mjs> <broker's host:port> <clock speed> <folder of programs> ...
//
// Runs the folders' main.py. A program waits for its broker by standing still, which nothing can do
// that also serves sockets; so MicroPython has a thread of its own (cpu.mjs) and this one serves it.

import net from "node:net";
import { Worker, MessageChannel } from "node:worker_threads";

const [micropython, broker, clockSpeed, ...folders] = process.argv.slice(2);
const [host, port] = broker.split(":");

const { port1: ours, port2: theirs } = new MessageChannel();
// Counts the messages for MicroPython's thread, which sleeps on it.
const signal = new Int32Array(new SharedArrayBuffer(4));
const sockets = new Map();

function tell(message) {
  ours.postMessage(message);
  Atomics.add(signal, 0, 1);
  Atomics.notify(signal, 0);
}

function connect(id) {
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  sockets.set(id, socket);
  socket.on("connect", () => tell({ id, what: "connected" }));
  socket.on("data", (bytes) => tell({ id, what: "data", hex: bytes.toString("hex") }));
  // What went wrong is told by "close", which follows.
  socket.on("error", () => {});
  socket.on("close", () => {
    sockets.delete(id);
    tell({ id, what: "closed" });
  });
}

ours.on("message", ({ id, what, hex }) => {
  if (what === "connect") connect(id);
  else if (what === "send") sockets.get(id)?.write(Buffer.from(hex, "hex"));
  else sockets.get(id)?.destroy();
});

const worker = new Worker(new URL("cpu.mjs", import.meta.url), {
  workerData: { micropython, folders, clockSpeed: Number(clockSpeed), port: theirs, signal },
  transferList: [theirs],
});
worker.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
worker.on("exit", (code) => process.exit(code));

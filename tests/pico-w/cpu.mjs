// The thread that runs MicroPython, and the module `board` through which its modules reach the world.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { receiveMessageOnPort, workerData } from "node:worker_threads";

const { micropython, folders, clockSpeed, port, signal } = workerData;

// By number: what has arrived on a socket and was not read yet.
const sockets = new Map();
let made = 0;

function hear() {
  for (let heard; (heard = receiveMessageOnPort(port)); ) {
    const { id, what, hex } = heard.message;
    const socket = sockets.get(id);
    if (!socket) continue;
    if (what === "connected") socket.isConnected = true;
    else if (what === "data") socket.hex += hex;
    else socket.isClosed = true;
  }
}

/** Stands still until `condition` holds, for so many of the board's milliseconds at most. */
function until(condition, milliseconds) {
  const end = performance.now() + milliseconds / clockSpeed;
  for (;;) {
    const seen = Atomics.load(signal, 0);
    hear();
    const left = end - performance.now();
    if (condition() || left <= 0) return;
    Atomics.wait(signal, 0, seen, left);
  }
}

// No exception may leave a function: MicroPython would not survive it.
const board = {
  /** Milliseconds since the start, by the board's clock. */
  now: () => performance.now() * clockSpeed,

  wait: (milliseconds) => until(() => false, milliseconds),

  /** A socket's number, or nothing where the broker refuses. */
  connect: () => {
    const id = ++made;
    const socket = { hex: "", isConnected: false, isClosed: false };
    sockets.set(id, socket);
    port.postMessage({ id, what: "connect" });
    until(() => socket.isConnected || socket.isClosed, Infinity);
    return socket.isClosed ? null : id;
  },

  /** Whether the connection was still there. */
  send: (id, hex) => {
    hear();
    port.postMessage({ id, what: "send", hex });
    return !sockets.get(id).isClosed;
  },

  /** What has arrived; nothing of it in time is "", and the end is null. */
  receive: (id, milliseconds) => {
    const socket = sockets.get(id);
    until(() => socket.hex !== "" || socket.isClosed, milliseconds);
    const { hex, isClosed } = socket;
    socket.hex = "";
    return hex === "" && isClosed ? null : hex;
  },

  close: (id) => {
    sockets.delete(id);
    port.postMessage({ id, what: "close" });
  },
};

function copy(fileSystem, folder, to) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const [from, target] = [path.join(folder, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory()) {
      if (!fileSystem.analyzePath(target).exists) fileSystem.mkdir(target);
      copy(fileSystem, from, target);
    } else if (entry.name.endsWith(".py")) {
      fileSystem.writeFile(target, fs.readFileSync(from));
    }
  }
}

const { loadMicroPython } = await import(pathToFileURL(micropython));
// At once, though this thread stands still: console.log would wait until it does not.
const python = await loadMicroPython({
  linebuffer: true,
  stdout: (line) => fs.writeSync(1, `${line}\n`),
});
python.registerJsModule("board", board);
python.FS.mkdir("/board");
for (const folder of [path.join(import.meta.dirname, "lib"), ...folders]) {
  copy(python.FS, folder, "/board");
}
python.runPython("import sys; sys.path.insert(0, '/board'); import main");

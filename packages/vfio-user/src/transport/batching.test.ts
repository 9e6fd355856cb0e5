import { systemClock } from "@vfmig/core";
import { createFakeIo } from "@vfmig/linux/fake";
import { expect, test } from "vitest";
import { message } from "../testing/raw-peer.ts";
import { Connection } from "./connection.ts";
import type { Message } from "./message.ts";

/** A connection over a socket whose sends are noted, and what its peer does. */
function rig(onMessage: (connection: Connection, incoming: Message) => void): {
  connection: Connection;
  sends: number[];
  readonly write: (...messages: Uint8Array[]) => void;
  readonly turn: () => Promise<void>;
  readonly replies: () => { id: number; fds: number }[];
} {
  const io = createFakeIo();
  const [own, peer] = io.socketPair();
  const sends: number[] = [];
  const counting = {
    ...io,
    send: (
      fd: number,
      from: Uint8Array,
      offset: number,
      length: number,
      fds: readonly number[],
    ) => {
      if (fd === own) sends.push(length);
      return io.send(fd, from, offset, length, fds);
    },
  };
  const connection = new Connection({
    io: counting,
    fd: own,
    clock: systemClock,
    maxMessageBytes: 65_536,
    maxFds: 16,
    sendLimitBytes: 1_000_000,
    onMessage: (incoming) => onMessage(connection, incoming),
    onEnd: () => {},
  });
  connection.start();
  return {
    connection,
    sends,
    write(...messages) {
      const bytes = Buffer.concat(messages);
      io.send(peer, bytes, 0, bytes.length, []);
    },
    turn: () =>
      new Promise((resolve) => {
        setImmediate(() => setImmediate(resolve));
      }),
    replies() {
      const found: { id: number; fds: number }[] = [];
      const into = new Uint8Array(65_536);
      for (;;) {
        const fds: number[] = [];
        const count = io.receive(peer, into, 0, into.length, fds);
        if (count <= 0) return found;
        const view = new DataView(into.buffer);
        let last: { id: number; fds: number } | undefined;
        for (let at = 0; at < count; at += view.getUint32(at + 4, true)) {
          last = { id: view.getUint16(at, true), fds: 0 };
          found.push(last);
        }
        // A read ends behind the message that brought fds.
        if (last !== undefined) last.fds = fds.length;
      }
    },
  };
}

const reply = (id: number, bytes = 20): Uint8Array => message(id, 9, new Uint8Array(bytes), 1);
const requests = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, id) => message(id, 9, new Uint8Array(16)));

function answer(connection: Connection, incoming: Message, bytes?: number): void {
  const out = reply(incoming.id, bytes);
  connection.send(out, out.length);
}

test("answers to requests that came together leave together, in order", async () => {
  const { write, turn, sends, replies } = rig((connection, incoming) =>
    answer(connection, incoming),
  );
  write(...requests(20));
  await turn();
  expect(sends).toEqual([20 * 36]);
  expect(replies().map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, id) => id));
});

test("a single request is answered at once, in a call of its own", async () => {
  const { write, turn, sends } = rig((connection, incoming) => {
    answer(connection, incoming);
    expect(sends).toEqual([36]);
  });
  write(...requests(1));
  await turn();
  expect(sends).toEqual([36]);
});

test("half a message behind a request does not keep its answer", async () => {
  const { write, turn, sends } = rig((connection, incoming) => answer(connection, incoming));
  write(...requests(1), message(2, 9, new Uint8Array(16)).subarray(0, 20));
  await turn();
  expect(sends).toEqual([36]);
});

test("a large answer keeps its place among small ones", async () => {
  const { write, turn, replies, connection } = rig((_connection, incoming) => {
    answer(connection, incoming, incoming.id === 3 ? 5000 : 20);
  });
  write(...requests(6));
  await turn();
  expect(replies().map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("answers that were collected are sent before a broken message ends the connection", async () => {
  const { write, turn, replies, connection } = rig((each, incoming) => answer(each, incoming));
  const broken = message(3, 9, new Uint8Array(16));
  broken[4] = 3;
  write(...requests(3), broken);
  await turn();
  expect(connection.closed).toBe(true);
  expect(replies().map(({ id }) => id)).toEqual([0, 1, 2]);
});

test("what is collected when a handler closes the connection is sent first", async () => {
  const { write, turn, replies } = rig((connection, incoming) => {
    answer(connection, incoming);
    if (incoming.id === 1) connection.close();
  });
  write(...requests(4));
  await turn();
  expect(replies().map(({ id }) => id)).toEqual([0, 1]);
});

test("more answers than the batch holds leave in several calls, in order", async () => {
  const { write, turn, sends, replies } = rig((connection, incoming) =>
    answer(connection, incoming, 900),
  );
  write(...requests(40));
  await turn();
  expect(sends.length).toBeLessThan(8);
  expect(replies().map(({ id }) => id)).toEqual(Array.from({ length: 40 }, (_, id) => id));
});

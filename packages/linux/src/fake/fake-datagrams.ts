import { checkBufferRange, socketPathBytes } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import type { Descriptors } from "./descriptors.ts";
import { FakeDatagramSocket, LONGEST_DATAGRAM } from "./fake-datagram.ts";
import type { OpenFile } from "./open-file.ts";

type DatagramCalls = Pick<
  NativeIo,
  "datagramSocket" | "connectDatagram" | "receiveDatagram" | "sendDatagram"
>;

const {
  ENOTSOCK = 88,
  EADDRINUSE = 98,
  ECONNREFUSED = 111,
  EMSGSIZE = 90,
  EPERM = 1,
  EPROTOTYPE = 91,
} = ERRNO;

/** Unix datagram sockets in memory. `names` has every bound socket by its path. */
export function createFakeDatagrams(
  descriptors: Descriptors,
  names: Map<string, OpenFile>,
): DatagramCalls {
  function socket(call: string, fd: number): FakeDatagramSocket {
    const file = descriptors.get(call, fd);
    if (file instanceof FakeDatagramSocket) return file;
    throw systemCallError(call, file.kind === "socket" ? EPROTOTYPE : ENOTSOCK, { fd });
  }

  /** Who receives at `path`; undefined where nobody does. */
  function bound(call: string, path: string): FakeDatagramSocket | undefined {
    socketPathBytes(path);
    const file = names.get(path);
    if (file === undefined || file instanceof FakeDatagramSocket) return file;
    throw systemCallError(call, EPROTOTYPE, { path });
  }

  return {
    datagramSocket(path) {
      if (path === undefined) return descriptors.open(new FakeDatagramSocket(() => {}));
      socketPathBytes(path);
      if (names.has(path)) throw systemCallError("bind", EADDRINUSE, { path });
      const file = new FakeDatagramSocket(() => names.delete(path));
      names.set(path, file);
      return descriptors.open(file);
    },
    connectDatagram(fd, path) {
      const own = socket("connect", fd);
      const peer = bound("connect", path);
      if (peer === undefined) throw systemCallError("connect", ECONNREFUSED, { fd, path });
      if (!peer.takesFrom(own)) throw systemCallError("connect", EPERM, { fd, path });
      own.peer = peer;
    },
    receiveDatagram(fd, into, offset, length) {
      const own = socket("recv", fd);
      checkBufferRange("receiveDatagram", into, offset, length);
      return own.receive(into.subarray(offset, offset + length));
    },
    sendDatagram(fd, from, offset, length, path) {
      const own = socket("sendto", fd);
      checkBufferRange("sendDatagram", from, offset, length);
      if (length > LONGEST_DATAGRAM) throw systemCallError("sendto", EMSGSIZE, { fd });
      const to = path === undefined ? own.peer : bound("sendto", path);
      if (to === undefined || !to.open) return -2;
      if (!to.takesFrom(own)) throw systemCallError("sendto", EPERM, { fd, path });
      return own.send(to, from.subarray(offset, offset + length)) ? length : -1;
    },
  };
}

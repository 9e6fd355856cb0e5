import { checkBufferRange, checkFdCount, socketPathBytes } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import type { Descriptors } from "./descriptors.ts";
import { FakeListener } from "./fake-listener.ts";
import { FakeStream } from "./fake-stream.ts";
import type { OpenFile } from "./open-file.ts";

type SocketCalls = Pick<
  NativeIo,
  | "socketPair"
  | "listen"
  | "accept"
  | "connect"
  | "shutdown"
  | "peerCredentials"
  | "growSendBuffer"
  | "receive"
  | "send"
>;

const { ENOTSOCK = 88, EADDRINUSE = 98, ECONNREFUSED = 111, EINVAL = 22, EPROTOTYPE = 91 } = ERRNO;

/** Unix stream sockets in memory. `names` has every bound socket by its path. */
export function createFakeSockets(
  descriptors: Descriptors,
  names: Map<string, OpenFile>,
): SocketCalls {
  function stream(call: string, fd: number): FakeStream {
    const file = descriptors.get(call, fd);
    if (file instanceof FakeStream) return file;
    throw systemCallError(call, file instanceof FakeListener ? EINVAL : ENOTSOCK, { fd });
  }

  return {
    socketPair() {
      const [one, other] = FakeStream.pair(descriptors);
      return [descriptors.open(one), descriptors.open(other)];
    },
    listen(path) {
      socketPathBytes(path);
      if (names.has(path)) throw systemCallError("bind", EADDRINUSE, { path });
      const listener = new FakeListener(descriptors, () => names.delete(path));
      names.set(path, listener);
      return descriptors.open(listener);
    },
    accept(fd) {
      const listener = descriptors.get("accept4", fd);
      if (!(listener instanceof FakeListener)) {
        throw systemCallError("accept4", listener instanceof FakeStream ? EINVAL : ENOTSOCK, {
          fd,
        });
      }
      const accepted = listener.accept();
      if (accepted === undefined) {
        if (listener.ended) throw systemCallError("accept4", EINVAL, { fd });
        return -1;
      }
      const own = descriptors.open(accepted);
      descriptors.release(accepted);
      return own;
    },
    connect(path) {
      socketPathBytes(path);
      const listener = names.get(path);
      if (listener === undefined) throw systemCallError("connect", ECONNREFUSED, { path });
      if (!(listener instanceof FakeListener)) {
        throw systemCallError("connect", EPROTOTYPE, { path });
      }
      if (listener.ended) throw systemCallError("connect", ECONNREFUSED, { path });
      return descriptors.open(listener.connect());
    },
    shutdown(fd) {
      const file = descriptors.get("shutdown", fd);
      if (file instanceof FakeListener) file.end();
      else stream("shutdown", fd).end();
    },
    growSendBuffer: (fd) => void stream("setsockopt", fd),
    peerCredentials(fd) {
      stream("getsockopt", fd);
      return { pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    },
    receive(fd, into, offset, length, fds) {
      checkBufferRange("receive", into, offset, length);
      const files: OpenFile[] = [];
      const count = stream("recvmsg", fd).receive(into.subarray(offset, offset + length), files);
      for (const file of files) {
        fds.push(descriptors.open(file));
        descriptors.release(file);
      }
      return count;
    },
    send(fd, from, offset, length, fds) {
      checkBufferRange("send", from, offset, length);
      checkFdCount(fd, fds.length);
      const files = fds.map((each) => descriptors.get("sendmsg", each));
      return stream("sendmsg", fd).send(fd, from.subarray(offset, offset + length), files);
    },
  };
}

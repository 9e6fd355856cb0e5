import { expect, test } from "vitest";
import { describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("descriptors", (rig) => {
  test("status tells a memfd, an eventfd and a socket apart", () => {
    const [socket] = rig.pair();
    expect(rig.io.status(rig.own(rig.io.memfd("m", 12_288)))).toEqual({
      kind: "memfd",
      size: 12_288n,
      shrinkSealed: true,
    });
    expect(rig.io.status(rig.own(rig.io.eventfd())).kind).toBe("eventfd");
    expect(rig.io.status(socket).kind).toBe("socket");
  });

  test("descriptors of one file have one identity, and others another", () => {
    const fd = rig.own(rig.io.memfd("m", 4096));
    const { id, ...more } = rig.io.identify(fd);
    expect(more).toEqual({ inMemory: true, regular: true, size: 4096n, shrinkSealed: true });
    expect(rig.io.identify(rig.own(rig.io.dup(fd))).id).toBe(id);
    expect(rig.io.identify(rig.own(rig.io.memfd("m", 4096))).id).not.toBe(id);
    expect(rig.io.identify(rig.own(rig.io.eventfd()))).toMatchObject({
      inMemory: false,
      regular: false,
    });
  });

  test("a duplicate goes on when the first one is closed", () => {
    const fd = rig.io.eventfd();
    const copy = rig.own(rig.io.dup(fd));
    rig.io.signalEventfd(fd);
    rig.io.close(fd);
    expect(rig.io.drainEventfd(copy)).toBe(1);
  });

  test("a closed descriptor is refused by every call, with EBADF", () => {
    const fd = rig.io.eventfd();
    rig.io.close(fd);
    const buffer = new Uint8Array(1);
    const calls = [
      () => rig.io.close(fd),
      () => rig.io.dup(fd),
      () => rig.io.status(fd),
      () => rig.io.identify(fd),
      () => rig.io.blocks(fd),
      () => rig.io.setNonBlocking(fd),
      () => rig.io.mmap(fd, rig.io.pageSize),
      () => rig.io.signalEventfd(fd),
      () => rig.io.drainEventfd(fd),
      () => rig.io.watch(fd, () => {}),
      () => rig.io.waitReadable(fd, 0),
      () => rig.io.waitWritable(fd, 0),
      () => rig.io.accept(fd),
      () => rig.io.shutdown(fd),
      () => rig.io.peerCredentials(fd),
      () => rig.io.receive(fd, buffer, 0, 1, []),
      () => rig.io.send(fd, buffer, 0, 1, []),
      () => rig.io.connectDatagram(fd, rig.socketPath()),
      () => rig.io.receiveDatagram(fd, buffer, 0, 1),
      () => rig.io.sendDatagram(fd, buffer, 0, 1),
      () => rig.io.read(fd, buffer, 0, 1),
      () => rig.io.write(fd, buffer, 0, 1),
      () => rig.io.ioctl(fd, 0),
    ];
    expect(calls.map(failure)).toEqual(calls.map(() => "EBADF"));
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 31])("%d is refused as a descriptor", (fd) => {
    const calls = [
      () => rig.io.close(fd),
      () => rig.io.dup(fd),
      () => rig.io.status(fd),
      () => rig.io.accept(fd),
      () => rig.io.shutdown(fd),
      () => rig.io.receive(fd, new Uint8Array(1), 0, 1, []),
      () => rig.io.send(fd, new Uint8Array(1), 0, 1, []),
      () => rig.io.watch(fd, () => {}),
      () => rig.io.receiveDatagram(fd, new Uint8Array(1), 0, 1),
      () => rig.io.sendDatagram(fd, new Uint8Array(1), 0, 1),
      () => rig.io.read(fd, new Uint8Array(1), 0, 1),
      () => rig.io.write(fd, new Uint8Array(1), 0, 1),
      () => rig.io.ioctl(fd, 0),
    ];
    expect(calls.map(failure)).toEqual(calls.map(() => "EBADF"));
  });
});

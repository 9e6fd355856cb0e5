import type { Clock } from "@vfmig/core";
import type { LinkListener, PortLink } from "./link.ts";
import { PortEnd } from "./port-end.ts";
import type { FrameVerdict, WirePort } from "./port.ts";

/** Both ends of a port in one process: everything happens within the call. */
export interface MemoryPort {
  readonly port: WirePort;
  readonly link: PortLink;
}

/** A port for a {@link Wire} in the same process. */
export function createMemoryPort(clock: Clock): MemoryPort {
  let listener: LinkListener | undefined;
  let open = true;
  const closed = (): void => {
    open = false;
    listener?.closed();
  };
  const end = new PortEnd(
    {
      frame: (frame) => listener?.frame(frame),
      verdict: (id, verdict, timeMs) => listener?.verdict(id, verdict, timeMs),
      pause: (on) => listener?.paused(on),
      close: closed,
    },
    clock,
  );
  const link: PortLink = {
    listen: (next) => (listener = next),
    send(id, frame) {
      if (open) end.deliver(id, frame);
      return open;
    },
    ping: (token) => {
      if (open) listener?.pong(token);
    },
    connect: () => end.connected(),
    close: () => end.close(),
  };
  return { port: end, link };
}

/** A port without a wire, for a device's own tests. */
export interface LoosePort {
  readonly port: WirePort;
  /** A frame arrives from the wire. */
  deliver(frame: Uint8Array): FrameVerdict;
  /** Frames that the device sent, copied, oldest first; tests may empty it. */
  readonly sent: Uint8Array[];
}

/** A port whose other end the test holds in its hands. */
export function createLoosePort(clock: Clock): LoosePort {
  const sent: Uint8Array[] = [];
  const uplink = {
    frame: (frame: Uint8Array) => void sent.push(frame.slice()),
    verdict: () => undefined,
    close: () => undefined,
  };
  const end = new PortEnd(uplink, clock);
  return { port: end, sent, deliver: (frame) => end.deliver(0, frame) };
}

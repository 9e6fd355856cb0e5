/**
 * What reaches a device from outside and through no interface of its user, such as frames from a wire. A
 * device that can tell of it can be recorded whole, and given the same again.
 */
export interface DeviceInput {
  /** Tells of each piece before the device acts on it; `data` may not be kept. One listener. */
  listen(onInput: (data: Uint8Array) => void): void;
  /** From now on the device gets what the returned function is given, and nothing else. */
  take(): (data: Uint8Array) => void;
}

/**
 * Messages between a VF and its PF (Linux `igb/e1000_mbx.h`): dword 0 holds opcode (15:0), info (23:16)
 * and the three flags; up to 15 dwords follow.
 */
export const OPCODE = {
  VF_RESET: 0x0001,
  SET_MAC_ADDR: 0x0002,
  SET_MULTICAST: 0x0003,
  SET_VLAN: 0x0004,
  SET_LPE: 0x0005,
  SET_PROMISC: 0x0006,
  /** From the PF: a ping when the link or the PF itself changes. */
  PF_CONTROL: 0x0100,
} as const;

/** Flags of dword 0. */
export const FLAG = {
  /** The VF has been reset by message and may ask for more. */
  CTS: 0x2000_0000,
  NACK: 0x4000_0000,
  ACK: 0x8000_0000,
} as const;

/** Info of SET_MAC_ADDR. */
export const MAC_INFO = {
  /** The VF's own address. */
  SET: 0,
  /** All further unicast filters go. */
  CLEAR: 1,
  /** One further unicast filter. */
  ADD: 2,
} as const;

/** Multicast hashes of one message. */
export const MULTICAST_MAX = 30;

const SHIFT = 16;

const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(OPCODE).map(([name, code]) => [code, name]),
);

export function opcodeOf(dword: number): number {
  return dword & 0xffff;
}

export function infoOf(dword: number): number {
  return (dword >>> SHIFT) & 0xff;
}

/** What the PF repeats in its answer: opcode and info. */
export function keyOf(dword: number): number {
  return dword & 0xff_ffff;
}

export function isAck(dword: number): boolean {
  return (dword & FLAG.ACK) !== 0 && (dword & FLAG.NACK) === 0;
}

/** Dword 0 without flags. */
export function header(opcode: number, info = 0): number {
  return ((info << SHIFT) | opcode) >>> 0;
}

export function opcodeName(opcode: number): string {
  return NAMES[opcode] ?? `operation 0x${opcode.toString(16)}`;
}

/** The address in two dwords, as text. */
export function macOf(low: number, high: number): string {
  const bytes = [low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8];
  return bytes.map((byte) => (byte & 0xff).toString(16).padStart(2, "0")).join(":");
}

/** Six bytes of a textual address, which has been checked. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (byte) => Number.parseInt(byte, 16));
}

function macDwords(mac: string): [number, number] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return [(a | (b << 8) | (c << 16) | (d << 24)) >>> 0, e | (f << 8)];
}

export function buildReset(): number[] {
  return [header(OPCODE.VF_RESET)];
}

/** @param info - one of {@link MAC_INFO} */
export function buildMac(mac: string, info: number = MAC_INFO.SET): number[] {
  return [header(OPCODE.SET_MAC_ADDR, info), ...macDwords(mac)];
}

export function buildVlan(id: number, add: boolean): number[] {
  return [header(OPCODE.SET_VLAN, add ? 1 : 0), id];
}

/** @param bytes - longest frame */
export function buildMaxFrame(bytes: number): number[] {
  return [header(OPCODE.SET_LPE), bytes];
}

export function buildPromiscuous(info: number): number[] {
  return [header(OPCODE.SET_PROMISC, info)];
}

/** @param hashes - 12-bit hashes of the group addresses; {@link MULTICAST_MAX} at most */
export function buildMulticast(hashes: readonly number[]): number[] {
  const dwords: number[] = [header(OPCODE.SET_MULTICAST, hashes.length)];
  for (let at = 0; at < hashes.length; at += 2) {
    dwords.push(((hashes[at] ?? 0) | ((hashes[at + 1] ?? 0) << SHIFT)) >>> 0);
  }
  return dwords;
}

/** The hashes of a SET_MULTICAST. */
export function multicastOf(message: readonly number[]): number[] {
  const count = Math.min(infoOf(message[0] ?? 0), MULTICAST_MAX);
  return Array.from(
    { length: count },
    (_, at) => ((message[1 + (at >>> 1)] ?? 0) >>> ((at & 1) * SHIFT)) & 0xffff,
  );
}

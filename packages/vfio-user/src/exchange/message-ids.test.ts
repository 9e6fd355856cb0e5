import { describe, expect, it } from "vitest";
import { MessageIds } from "./message-ids.ts";

const none = new Map<number, unknown>();

describe("message ids", () => {
  it("come round again, but for those that wait and those whose reply is late", () => {
    const ids = new MessageIds();
    const [first, second] = [ids.take(none), ids.take(none)];
    ids.abandon(first);
    const busy = new Map([[second, {}]]);
    const round = Array.from({ length: 65_534 }, () => ids.take(busy));
    expect(new Set(round).size).toBe(65_534);
    expect(round).not.toContain(first);
    expect(round).not.toContain(second);
    expect(Math.max(...round)).toBe(0xffff);
    expect(ids.returned(first)).toBe(true);
    expect(ids.returned(first)).toBe(false);
    expect(ids.take(busy)).toBe(first);
  });

  it("run out where every one of them waits", () => {
    const ids = new MessageIds();
    const busy = new Map(Array.from({ length: 65_536 }, (_, id) => [id, {}]));
    expect(() => ids.take(busy)).toThrow("no id is left");
  });
});

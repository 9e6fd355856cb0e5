import { VfmigError } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { Child } from "./child.ts";
import type { EchoAnswers, EchoQuestion } from "./testing/echo-process.ts";

function started() {
  const events: string[] = [];
  const deaths: string[] = [];
  const child = new Child<EchoQuestion, EchoAnswers, string>({
    beside: import.meta.url,
    main: "testing/echo-process",
    failure: (why) => new VfmigError("ERR_VFMIG_WIRE_COMMAND", why, { layer: "testkit" }),
    onEvent: (event) => events.push(event),
    onDeath: (error) => deaths.push(error.message),
  });
  return { child, events, deaths };
}

describe("a child process", () => {
  test("answers each question its own, and says what nobody asked", async () => {
    const { child, events, deaths } = started();
    const texts = ["a", "b", "c"];
    const asked = texts.map(async (text) => await child.ask({ do: "echo", text }));
    expect(await Promise.all(asked)).toEqual(texts);
    await child.ask({ do: "tell", text: "by the way" });
    expect(events).toEqual(["by the way"]);
    await child[Symbol.asyncDispose]();
    expect(deaths).toEqual([]);
    await expect(child.ask({ do: "echo", text: "d" })).rejects.toThrow("it has ended");
  });

  test("refuses with the code that it gives, or with its owner's, and goes on", async () => {
    const { child } = started();
    await expect(child.ask({ do: "refuse" })).rejects.toMatchObject({
      code: "ERR_VFMIG_WIRE_PORT",
      message: "no port",
    });
    await expect(child.ask({ do: "throw" })).rejects.toMatchObject({
      code: "ERR_VFMIG_WIRE_COMMAND",
      message: "not a function",
    });
    expect(await child.ask({ do: "echo", text: "still here" })).toBe("still here");
    await child[Symbol.asyncDispose]();
  });

  test("tells once that it died, and every question that waits then fails", async () => {
    const { child, deaths } = started();
    const waiting = [child.ask({ do: "die" }), child.ask({ do: "echo", text: "too late" })];
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: "ERR_VFMIG_WIRE_COMMAND" },
      });
    }
    await child[Symbol.asyncDispose]();
    expect(deaths).toHaveLength(1);
  });
});

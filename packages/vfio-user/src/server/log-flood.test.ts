import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { regionRead } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";

describe.each(TEST_IOS)("a client that errs without end $name", (testIo) => {
  it("fills no log, also by connecting anew", async () => {
    const clock = new ManualClock();
    await using all = Harness.of(testIo, { clock });
    for (let round = 1; round <= 4; round += 1) {
      const peer = await all.negotiated();
      for (let id = 0; id < 100; id += 1) {
        peer.command(id, 9, regionRead(0, 1, 77));
        await peer.reply(id);
      }
      peer.close();
      await all.clientsGone(round);
    }
    expect(all.log.length).toBeLessThan(100);
  });
});

import type { StageContext } from "../run/stage.ts";
import { entry, MODELS, type Model } from "../serve/configurations.ts";
import { Served } from "../serve/served.ts";
import { CONFIG_CASES } from "./config-cases.ts";
import { LIFE_CASES } from "./life-cases.ts";
import { MAILBOX_CASES } from "./mailbox-cases.ts";

const CASES = [...CONFIG_CASES, ...MAILBOX_CASES, ...LIFE_CASES];

/** QEMU without a guest as a client that does what the test says, over every model. */
export async function qtestStage({ artifacts, recorder }: StageContext): Promise<void> {
  const qemu = await artifacts.qemu();
  for (const model of MODELS) {
    const wanted = CASES.filter(({ name }) => recorder.wants(`${model.name}: ${name}`));
    if (wanted.length === 0) continue;
    await using served = await serve(model);
    for (const { name, run } of wanted) {
      await recorder.run(`${model.name}: ${name}`, async (evidence) => {
        const before = served.child.stderr.length;
        evidence("vfmig serve's stderr", () => served.child.stderr.slice(before));
        evidence("the last messages", () => served.trace);
        const [a, b] = [served.device("a"), served.device("b")];
        const serveAlone = async (): Promise<Served> => {
          const alone = await serve(model);
          evidence("the last messages of the case's own server", () => alone.trace);
          return alone;
        };
        await run({ qemu, model, evidence, served, a, b, serveAlone });
      });
    }
  }
}

function serve(model: Model): Promise<Served> {
  return Served.start([
    entry(model, 0, "a", { mac: "02:00:00:00:00:0a" }),
    entry(model, 1, "b", { mac: "02:00:00:00:00:0b" }),
  ]);
}

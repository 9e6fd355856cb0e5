import { VfmigError } from "@vfmig/core";
import { answerParent, tellParent } from "../answer-parent.ts";

/** What the process of a test is asked. */
export type EchoQuestion =
  | { readonly do: "echo"; readonly text: string }
  | { readonly do: "refuse" }
  | { readonly do: "throw" }
  | { readonly do: "tell"; readonly text: string }
  | { readonly do: "die" };

export interface EchoAnswers {
  readonly echo: string;
  readonly refuse: null;
  readonly throw: null;
  readonly tell: null;
  readonly die: null;
}

async function answer(question: EchoQuestion): Promise<string | null> {
  switch (question.do) {
    case "echo":
      return question.text;
    case "refuse":
      throw new VfmigError("ERR_VFMIG_WIRE_PORT", "no port", { layer: "testkit" });
    case "throw":
      throw new TypeError("not a function");
    case "tell":
      tellParent(question.text);
      return null;
    case "die":
      process.exit(7);
  }
}

answerParent(async (question) => await answer(question as EchoQuestion));

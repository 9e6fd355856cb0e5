import type { StateTree, StateTreeRecord } from "./inspect.ts";
import type { StateNode } from "./state-tree.ts";

/** Bytes of a byte string that are shown before the rest is only counted. */
const SHOWN_BYTES = 32;
const SHOWN_TEXT = 120;

/** Words for people: one line per record and per field, safe for a terminal whatever the stream holds. */
export function renderState(tree: StateTree): string {
  const driver =
    tree.driver === undefined
      ? "driver unknown"
      : `driver ${printable(tree.driver.name)} ${printable(tree.driver.version)}`;
  const version = tree.stateVersion === undefined ? "?" : String(tree.stateVersion);
  const lines = [
    `device state, format ${tree.formatVersion}, ${tree.bytes} bytes, ${driver}, state version ${version}`,
  ];
  for (const record of tree.records) renderRecord(record, lines);
  if (tree.stopped !== undefined) {
    lines.push(`stopped: ${tree.stopped.code}: ${printable(tree.stopped.message)}`);
  }
  lines.push(tree.sound ? "sound" : "NOT SOUND");
  return `${lines.join("\n")}\n`;
}

function renderRecord(record: StateTreeRecord, lines: string[]): void {
  const name = record.name === undefined ? "" : ` ${printable(record.name)}`;
  const marks = [record.mandatory ? "mandatory" : "optional"];
  if (record.replaced) marks.push("replaced by a later one");
  lines.push(
    `record ${record.index}:${name} (type ${record.type}, ${marks.join(", ")}) ` +
      `at ${record.offset}, ${record.length} bytes`,
  );
  if (record.content !== undefined) renderContent(record.content, lines);
  for (const problem of record.problems) {
    lines.push(`  problem: ${problem.code}: ${printable(problem.message)}`);
  }
}

/** A record's own name stands on its line already. */
function renderContent(content: StateNode, lines: string[]): void {
  if (content.children === undefined) lines.push(`  ${leafOf(content)}`);
  else for (const child of content.children) renderNode(child, "  ", lines);
}

function renderNode(node: StateNode, indent: string, lines: string[]): void {
  const note = node.description === undefined ? "" : `  (${printable(node.description)})`;
  if (node.children === undefined) {
    lines.push(`${indent}${printable(node.name)}: ${leafOf(node)}${note}`);
    return;
  }
  const empty = node.children.length > 0 ? "" : node.kind === "list" ? " []" : " {}";
  lines.push(`${indent}${printable(node.name)}:${empty}${note}`);
  for (const child of node.children) renderNode(child, `${indent}  `, lines);
}

function leafOf(node: StateNode): string {
  const value = String(node.value);
  if (node.kind === "bytes") {
    const bytes = value.length / 2;
    const rest = bytes > SHOWN_BYTES ? "..." : "";
    return `${bytes} bytes ${value.slice(0, SHOWN_BYTES * 2)}${rest}`.trimEnd();
  }
  if (node.kind === "text") {
    const rest = value.length > SHOWN_TEXT ? "..." : "";
    return `"${printable(value.slice(0, SHOWN_TEXT))}${rest}"`;
  }
  if (node.kind === "number" && typeof node.value === "number" && isWide(node.value)) {
    return `${value} (0x${node.value.toString(16)})`;
  }
  return value;
}

/** Addresses and register values are read in hex. */
function isWide(value: number): boolean {
  return Number.isInteger(value) && value >= 0x1000;
}

/** The text comes from a stream: no control character, direction mark or half of a pair reaches the terminal. */
function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

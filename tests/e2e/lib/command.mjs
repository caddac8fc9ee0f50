// command.mjs: the command line against a running process, as an operator uses it.

import assert from 'node:assert/strict';

import { runPlimsoll } from './plimsoll.mjs';

// { code, stdout, stderr } of `plimsoll WORDS... --config <of the node>`. The release binary where
// the node is one, so that a test that measures is not slowed by the sanitizers of its commands.
export const command = (node, ...words) => runPlimsoll(
  [...words, '--config', node.configPath], { cwd: node.folder, kind: node.kind ?? 'dev' });

// The same, and it must have worked: what it printed.
export async function order(node, ...words) {
  const { code, stdout, stderr } = await command(node, ...words);
  assert.equal(code, 0, `plimsoll ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

export const statusOf = async (node) => JSON.parse(await order(node, 'status', '--json'));

// The same document, without a process: for polling.
export const statusPage = async (node) => JSON.parse((await node.admin('/api/admin/status')).body);
export const upstreamOf = async (node, name) =>
  (await statusPage(node)).upstreams.find((upstream) => upstream.name === name);

// The op `position` in JavaScript, judged by golden vectors. It needs node and no packages:
//   einspec vectors vectors --op position
//   node examples/position_vectors.mjs vectors outputs    # exit status 0 if every case holds
//   einspec verify vectors outputs --op position          # the same verdict, with a witness where a case is wrong
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
const ARRAYS = { I8: Int8Array, I16: Int16Array, I32: Int32Array, I64: BigInt64Array, U8: Uint8Array, U16: Uint16Array, U32: Uint32Array };
const stored = (dtype) => dtype.replace("uint", "U").replace("int", "I"); // int8 is I8 in a safetensors file
const same = (got, want) => got === want || Object.is(got, want); // so that NaN is NaN and -0 is 0
const RULES = { bits: Object.is, values: same, bound: (got, want, most) => same(got, want) || Math.abs(got - want) <= most };

function position({ index, rank }, { experts, order }) {
  const KEYS = { token: (i) => i, choice: (i) => (i % K) * T + Math.floor(i / K), rank: (i) => rank.data[i] };
  if (!(Number.isInteger(experts) && experts >= 0)) throw new Error(`experts must be at least 0, not ${experts}`);
  if (!(order in KEYS)) throw new Error(`order must be one of ${Object.keys(KEYS)}, not ${order}`);
  for (const x of order === "rank" ? [index, rank] : [index]) {
    if (!(x.dtype in ARRAYS)) throw new Error(`not a dtype of indices: ${x.dtype}`);
    if (x.shape.length !== 2 || `${x.shape}` !== `${index.shape}`) throw new Error(`expected the shape t k, not ${x.shape}`);
  }
  const [T, K] = index.shape, key = KEYS[order], last = new Map(), data = new Int32Array(index.data.length).fill(-1);
  for (const i of [...data.keys()].sort((a, b) => key(a) - key(b) || a - b)) {
    const expert = index.data[i];
    if (0 <= expert && expert < experts) last.set(expert, (data[i] = (last.get(expert) ?? -1) + 1));
  }
  return { dtype: "I32", shape: index.shape, data };
}

function read(path) { // the length of the header, the header as JSON, the bytes of all tensors
  const bytes = readFileSync(path), start = 8 + Number(bytes.readBigUInt64LE(0));
  return Object.fromEntries(Object.entries(JSON.parse(bytes.toString("utf8", 8, start))).map(([name, x]) => {
    const [from, to] = x.data_offsets.map((offset) => bytes.byteOffset + start + offset);
    return [name, { ...x, data: Array.from(new ARRAYS[x.dtype](bytes.buffer.slice(from, to)), Number) }];
  }));
}

function judge({ id, params, outputs, inputs, rejects }) {
  const given = { index: tensors[`${id}/index`], rank: tensors[`${id}/rank`] }; // of a rejected call only shapes are known
  for (const [name, { dtype, shape }] of Object.entries(inputs ?? {}))
    given[name] = { dtype: stored(dtype), shape, data: Array(shape.reduce((a, b) => a * b, 1)).fill(0) };
  try {
    const got = (written[`${id}/position`] = position(given, params)), want = tensors[`${id}/position`];
    if (rejects || got.dtype !== stored(outputs.position.dtype) || `${got.shape}` !== `${want.shape}`) return false;
    return want.data.every((x, i) => RULES[outputs.position.rule](got.data[i], x, tensors[`${id}/position.bound`]?.data[i]));
  } catch (error) { // the output "error" says that a call is rejected
    written[`${id}/error`] = { dtype: "U8", shape: [error.message.length], data: Buffer.from(error.message, "latin1") };
    return rejects !== undefined;
  }
}
const [folder, outputs] = process.argv.slice(2), { format, ops: { position: op } } = JSON.parse(readFileSync(`${folder}/index.json`));
if (format !== 1) throw new Error(`${folder} holds vectors of format ${format}, this program reads format 1`);
const written = {}, tensors = read(`${folder}/${op.file}`), wrong = op.cases.filter((x) => !judge(x));
console.log(`${op.cases.length - wrong.length} of ${op.cases.length} cases hold`, ...wrong.map((x) => x.id));
process.exitCode = wrong.length ? 1 : 0;
if (outputs) {
  const header = {}, parts = Object.values(written).map(({ data: x }) => Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  Object.entries(written).reduce((end, [name, { dtype, shape }], i) =>
    (header[name] = { dtype, shape, data_offsets: [end, end + parts[i].length] }).data_offsets[1], 0);
  const text = Buffer.from(JSON.stringify(header)), size = Buffer.from(BigUint64Array.of(BigInt(text.length)).buffer);
  mkdirSync(outputs, { recursive: true });
  writeFileSync(`${outputs}/${op.file}`, Buffer.concat([size, text, ...parts]));
}

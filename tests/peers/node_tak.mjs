// A client made of @tak-ps/node-tak: events from standard input go to the server, events from the server to standard output.
//
//     node node_tak.mjs FOLDER-OF-THE-PACKAGE HOST:PORT CERT.pem KEY.pem
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const [folder, address, cert, key] = process.argv.slice(2);
const resolve = createRequire(path.join(folder, 'package.json')).resolve;
const { default: TAK, CoT } = await import(pathToFileURL(resolve('@tak-ps/node-tak')));

// The package tells of its connection on the error output, and so do we.
const tak = await TAK.connect('test', new URL(`ssl://${address}`), {
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
});
const toXml = (cot) => (typeof cot.to_xml === 'function' ? cot.to_xml() : CoT.to_xml(cot));
tak.on('cot', (cot) => process.stdout.write(toXml(cot) + '\n'))
    .on('ping', () => process.stderr.write('pong\n'))
    .on('error', (error) => process.stderr.write(`error ${error}\n`))
    .on('end', () => process.exit(0));

let pending = '';
for await (const line of createInterface({ input: process.stdin })) {
    pending += line;
    if (pending.includes('</event>')) {
        tak.write([new CoT(pending)]);
        pending = '';
    }
}

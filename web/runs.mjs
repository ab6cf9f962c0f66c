/* Which open workflow a run belongs to. The server names the prompt and the node of what it tells;
   the number of a node alone would also fit a node of another workflow. */

const owners = new Map(); // number of a prompt -> the workflow that was open when it was queued
let queueing = 0; // prompts that are on their way to the server, whose numbers are not known yet
let waiting = []; // what the server told of prompts before their numbers were known

/** Begin to note which workflow each prompt comes from; `refused` receives what was refused. */
export function watchRuns(app, api, refused) {
  const queue = api.queuePrompt;
  api.queuePrompt = function (...given) {
    const owner = openWorkflow(app);
    queueing++;
    const sent = queue.apply(this, given); // handed on as it is: its errors are the editor's own
    sent
      .then(
        (answer) => {
          owners.set(answer.prompt_id, owner);
          refused(answer);
        },
        (error) => refused(error?.response),
      )
      .finally(() => {
        queueing--;
        const told = waiting;
        waiting = [];
        for (const tell of told) tell();
      });
    return sent;
  };
}

/** Call `tell` for every message of this kind that belongs to a node of the open workflow.

   `unknown` receives those of prompts that this page has not queued. */
export function listen(app, api, kind, tell, unknown = () => {}) {
  api.addEventListener(kind, ({ detail }) => {
    const now = () => {
      if (!owners.has(detail.prompt_id) && queueing) waiting.push(now);
      else if (!owners.has(detail.prompt_id)) unknown(detail);
      else if (isHere(app, detail.prompt_id)) {
        const node = nodeAt(app, detail.node ?? detail.node_id);
        if (node) tell(node, detail);
      }
    };
    now();
  });
}

/** Whether a prompt was queued from the workflow that is open. */
function isHere(app, prompt) {
  return owners.has(prompt) && owners.get(prompt) === openWorkflow(app);
}

/** The node of a number like "7", or "3:7" inside a subgraph. */
export function nodeAt(app, number) {
  let graph = app.rootGraph ?? app.graph;
  let node = null;
  for (const part of String(number).split(":")) {
    node = graph?.getNodeById(Number(part)) ?? graph?.getNodeById(part);
    graph = node?.subgraph;
  }
  return node;
}

/** The number of a node, with those of the subgraphs around it: "7", or "3:7". */
export function numberOf(app, node) {
  const outer = node.graph && outerOf(app, node.graph);
  return outer ? `${numberOf(app, outer)}:${node.id}` : String(node.id);
}

/** The node that shows a subgraph; undefined for the graph itself. */
export function outerOf(app, graph) {
  const root = app.rootGraph ?? app.graph;
  const graphs = [root, ...(root.subgraphs?.values?.() ?? [])];
  return graphs.flatMap((one) => one.nodes).find((node) => node.subgraph === graph);
}

/** Whether this page knows where a prompt comes from. */
export function isKnown(prompt) {
  return owners.has(prompt);
}

/** Take over a prompt that was queued before the page was loaded anew. */
export function adopt(app, prompt) {
  owners.set(prompt, openWorkflow(app));
}

/** The workflow that is open. */
export function openWorkflow(app) {
  return app.extensionManager?.workflow?.activeWorkflow;
}

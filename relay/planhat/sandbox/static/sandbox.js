"use strict";
// Everything that arrives is shown through textContent: nothing in a conversation can become markup.

const byId = (id) => document.getElementById(id);
let open = location.hash.slice(1);
let lastSeen = "";

function cell(row, text, title) {
  const made = row.insertCell();
  made.textContent = text === undefined || text === null ? "" : String(text);
  if (title) made.title = title;
  return made;
}

const clock = (ms) => new Date(ms).toLocaleTimeString();

function showRows(conversations) {
  const rows = byId("rows");
  rows.replaceChildren();
  byId("none").hidden = conversations.length > 0;
  for (const conversation of conversations) {
    const row = rows.insertRow();
    const own = conversation._sandbox;
    cell(row, clock(own.changed_ms));
    const type = cell(row, conversation.type);
    if (own.sent_type && own.sent_type !== conversation.type) {
      type.textContent += " (sent: " + own.sent_type + ")";
      type.className = "warning";
    }
    cell(row, conversation.companyName);
    const link = document.createElement("a");
    link.href = "#" + conversation._id;
    link.textContent = conversation.subject || "(no subject)";
    cell(row, "").append(link);
    cell(row, conversation.externalId);
    cell(row, own.writes);
    const unseen = own.invisible.length;
    if (unseen) {
      const mark = cell(row, unseen + " of the custom fields unseen", own.invisible.join(", "));
      mark.className = "warning";
    } else {
      cell(row, "");
    }
    if (conversation._id === open) row.className = "open";
  }
}

// The editor's page, node by node: [tag, attributes, children] or a string. Only tags that the editor has.
const TAGS = new Set([
  "p", "br", "hr", "strong", "em", "a", "blockquote", "ul", "ol", "li", "table", "tbody", "tr", "td",
]);

function drawn(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, children] = node;
  const made = document.createElement(TAGS.has(tag) ? tag : "p");
  if (tag === "a") {
    // Shown and not followed: what came in is not to lead anybody anywhere from here.
    made.title = attributes.href;
    made.className = "link";
  }
  made.append(...children.map(drawn));
  return made;
}

function showEdited(editor) {
  byId("edited").replaceChildren(...editor.tree.map(drawn));
  const verdict = byId("faithful");
  verdict.textContent = editor.faithful ? "Every word is there, and nothing looks wrong."
    : editor.words_lost.length ? "Words are lost: " + editor.words_lost.slice(0, 40).join(" ") : "It looks wrong there.";
  verdict.className = editor.faithful ? "" : "warning";
  const notes = byId("notes");
  notes.replaceChildren();
  for (const note of editor.notes) {
    const line = document.createElement("li");
    line.textContent = note.kind + ": " + note.what + (note.text ? " (" + note.text + ")" : "");
    if (note.kind !== "plain") line.className = "warning";
    notes.append(line);
  }
}

function showDetail(conversation) {
  byId("detail").hidden = !conversation;
  if (!conversation) return;
  byId("title").textContent = conversation.subject || "(no subject)";
  byId("description").textContent = conversation.description || "";
  showEdited(conversation._sandbox.editor);
  const unseen = new Set(conversation._sandbox.invisible);
  const fields = byId("fields");
  fields.replaceChildren();
  const people = (list) => (list || []).map((one) => one.name || one.email || one.id).join(", ");
  const shown = {
    Type: conversation.type, Company: conversation.companyName, Date: conversation.date,
    Endusers: people(conversation.endusers), Users: people(conversation.users),
    Tags: (conversation.activityTags || []).join(", "), externalId: conversation.externalId, _id: conversation._id,
    Archived: conversation.archived ? "yes" : "no",
  };
  for (const [name, value] of Object.entries({ ...shown, ...(conversation.custom || {}) })) {
    if (value === undefined || value === "") continue;
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
    if (unseen.has(name)) {
      const mark = document.createElement("span");
      mark.className = "warning";
      mark.textContent = " (not defined for conversations: nobody sees it in Planhat)";
      text.append(mark);
    }
    fields.append(term, text);
  }
  byId("whole").textContent = JSON.stringify(conversation, (name, value) => (name === "editor" ? undefined : value), 2);
}

function showCalls(calls) {
  const rows = byId("calls");
  rows.replaceChildren();
  for (const call of calls.reverse()) {
    const row = rows.insertRow();
    cell(row, clock(call.at * 1000));
    cell(row, call.operation, call.method + " " + call.path);
    cell(row, call.items);
    cell(row, call.bytes);
    const status = cell(row, call.status === null ? "under way" : call.status);
    if (call.status !== 200) status.className = "warning";
    cell(row, call.ms);
  }
}

async function fetchJson(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function refresh(force) {
  try {
    const stats = await fetchJson("_sandbox/stats");
    byId("summary").textContent =
      stats.conversations + " conversations, " + stats.calls + " calls, at most " + stats.most_parallel + " at a time";
    const seen = JSON.stringify(stats);
    if (!force && seen === lastSeen) return;
    const [rows, calls] = await Promise.all([
      fetchJson("_sandbox/conversations?newest=1&limit=100"), fetchJson("_sandbox/calls?limit=15"),
    ]);
    showRows(rows);
    showCalls(calls);
    const one = open ? await fetchJson("_sandbox/conversations?editor=1&_id=" + encodeURIComponent(open)) : [];
    showDetail(one[0]);
    lastSeen = seen;
  } catch (error) {
    byId("summary").textContent = "the sandbox does not answer (" + error.message + ")";
    lastSeen = "";
  }
}

addEventListener("hashchange", () => { open = location.hash.slice(1); refresh(true); });
byId("close").addEventListener("click", () => { location.hash = ""; });
setInterval(() => { if (byId("live").checked && !document.hidden) refresh(false); }, 2000);
refresh(true);

// HTML artifacts. MLflow shows them in a sandboxed frame by a blob: URL, which inherits the policy of MLflow's page, so
// that none of their scripts would run. They are shown by frame.html instead, whose own policy lets them run, in an
// origin of their own. https://html.spec.whatwg.org/multipage/browsers.html#determining-navigation-params-policy-container
(() => {
  const documents = new Map();
  const create = URL.createObjectURL, revoke = URL.revokeObjectURL;

  URL.createObjectURL = (object) => {
    const url = create.call(URL, object);
    if (object instanceof Blob && object.type.startsWith("text/html")) documents.set(url, object);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    documents.delete(url);
    revoke.call(URL, url);
  };

  HTMLIFrameElement.prototype.setAttribute = function (name, value) {
    const framed = name === "src" && documents.has(value);
    Element.prototype.setAttribute.call(this, name, framed ? `page/frame.html#${value}` : value);
  };

  // frame.html asks for its document when it is ready. Only a frame without an origin gets one.
  addEventListener("message", async (event) => {
    const artifact = documents.get(event.data?.artifact);
    if (artifact && event.origin === "null") event.source.postMessage(await artifact.text(), "*");
  });
})();

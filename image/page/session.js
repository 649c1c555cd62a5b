// What MLflow's page does not know: that people sign in, and that a session ends. A call that finds it ended waits, and
// is made again when the person has signed in again, in another tab. Nothing that was entered is lost. A call that was
// answered with 401 never reached MLflow: making it again is safe. Nor does it know that whole features may be off: pages
// that never mention them ask for what there is of them, and would report an error.
(() => {
  const SIGN_IN = "oauth2/start?rd=%2Fpage%2Fsigned-in.html";
  const plainFetch = window.fetch.bind(window);
  const ask = (path) => plainFetch(path, { headers: { Accept: "application/json" } });
  let question = null; // one at a time, whatever fails at once
  const signedIn = () => (question ??= ask("oauth2/auth").then((answer) => answer.status !== 401)
    .finally(() => { question = null; }));

  let banner = null; // while the session has ended
  let waiting = [];
  let incomplete = false; // a script or picture of the page is missing

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function show(text, ...controls) {
    banner?.remove();
    banner = element("div", { id: "session-banner", role: "alert" }, element("span", { textContent: text }), ...controls);
    document.body.append(banner);
  }

  function sessionEnded() {
    if (banner) return;
    const link = element("a", { href: SIGN_IN, target: "_blank", textContent: "Sign in again" });
    link.addEventListener("click", (event) => {
      if (window.open(SIGN_IN)) event.preventDefault(); // a tab that a script opened can close itself
    });
    show("Your session has ended. What you entered is still here, and is sent when you have signed in.", link);
  }

  async function resume() {
    if (!banner || !(await signedIn())) return;
    banner.remove();
    banner = null;
    waiting.splice(0).forEach((wake) => wake());
    if (!incomplete) return;
    const reload = element("button", { textContent: "Reload" });
    reload.addEventListener("click", () => location.reload());
    show("You are signed in again. A part of this page is missing.", reload);
  }

  function untilSignedIn(signal) {
    return new Promise((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      sessionEnded();
    });
  }

  window.fetch = async (resource, options) => {
    const request = new Request(resource, options);
    if (new URL(request.url).origin !== location.origin) return plainFetch(request);
    for (;;) {
      const answer = await plainFetch(request.clone());
      if (answer.status === 501 && request.method === "GET") {
        await answer.arrayBuffer(); // its connection is free when it has been read
        return Response.json({});
      }
      if (answer.status !== 401 || (await signedIn())) return answer;
      await untilSignedIn(request.signal);
    }
  };

  // Scripts and pictures cannot wait: they are missing until the page is loaded again.
  addEventListener("error", async ({ target }) => {
    if (!(target instanceof Element) || (await signedIn())) return;
    incomplete = true;
    sessionEnded();
  }, { capture: true });

  document.addEventListener("visibilitychange", async () => {
    if (document.hidden) return;
    if (banner) await resume();
    else if (!(await signedIn())) sessionEnded();
  });
  addEventListener("focus", resume);
  new BroadcastChannel("session").addEventListener("message", resume); // from signed-in.js

  // The way out, and what is not offered here, stand below MLflow's settings and look like them.
  new MutationObserver(() => {
    if (document.getElementById("sign-out")) return;
    const settings = document.querySelector('nav a[href^="#/settings/"]');
    const link = element("a", { href: "oauth2/sign_out?rd=%2F", className: settings?.className, textContent: "Sign out" });
    const off = element("a", {
      href: "page/off.html", target: "_blank", className: settings?.className, textContent: "Off in this deployment",
    });
    settings?.parentElement.after(element("li", {}, off), element("li", { id: "sign-out" }, link));
  }).observe(document.documentElement, { childList: true, subtree: true });
})();

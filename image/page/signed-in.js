// Tells the tabs whose session had ended, and closes this one where the browser allows it.
new BroadcastChannel("session").postMessage("signed in");
window.close();

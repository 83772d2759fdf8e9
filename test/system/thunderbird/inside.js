// biome-ignore-all lint/correctness/noUnusedVariables: the code that is sent behind this text uses them
/**
 * Runs inside Thunderbird, in front of each piece of code that is sent there: what a user does by mouse, by the calls
 * that the buttons make.
 */

const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');

const server = () => MailServices.accounts.accounts[0].incomingServer;
const root = () => server().rootFolder;
const wait = (ms) => new Promise((resolve) => setTimeoutOf()(resolve, ms));

function setTimeoutOf() {
  return ChromeUtils.importESModule('resource://gre/modules/Timer.sys.mjs').setTimeout;
}

async function until(what, isTrue, ms = 30000) {
  for (const end = Date.now() + ms; !isTrue(); await wait(50))
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
}

/** A folder by its path, as the user reads it. */
function folder(path) {
  let found = root();
  for (const name of path.split('/')) {
    found = found.subFolders.find((one) => one.name === name);
    if (!found) throw new Error(`no folder ${path}`);
  }
  return found;
}

function pathOf(one) {
  const above = one.parent;
  return above && !above.isServer ? `${pathOf(above)}/${one.name}` : one.name;
}

function message(path, subject) {
  const found = [...folder(path).messages].find((one) => one.mime2DecodedSubject === subject);
  if (!found) throw new Error(`no message ${subject} in ${path}`);
  return found;
}

function copyListener() {
  const listener = {
    QueryInterface: ChromeUtils.generateQI(['nsIMsgCopyServiceListener']),
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId: () => null,
  };
  listener.done = new Promise((resolve, reject) => {
    listener.onStopCopy = (status) =>
      status === 0 ? resolve() : reject(new Error(`copied in vain: ${status.toString(16)}`));
  });
  return listener;
}

/** Asks the server what is new in it, as a click on it does. */
async function update(path) {
  const wanted = folder(path);
  let isLoaded = false;
  const listener = {
    QueryInterface: ChromeUtils.generateQI(['nsIFolderListener']),
    onFolderEvent: (one, event) => {
      if (one.URI === wanted.URI && event === 'FolderLoaded') isLoaded = true;
    },
  };
  MailServices.mailSession.AddFolderListener(listener, Ci.nsIFolderListener.event);
  wanted.updateFolder(null);
  await until(`${path} is loaded`, () => isLoaded);
  MailServices.mailSession.RemoveFolderListener(listener);
}

/** All of a message, as it comes from the server. */
function sourceOf(path, subject) {
  const header = message(path, subject);
  const uri = header.folder.getUriForMsg(header);
  return new Promise((resolve, reject) => {
    let text = '';
    const listener = {
      QueryInterface: ChromeUtils.generateQI(['nsIStreamListener', 'nsIRequestObserver']),
      onStartRequest() {},
      onDataAvailable(_request, stream, _offset, count) {
        const binary = Cc['@mozilla.org/binaryinputstream;1'].createInstance(Ci.nsIBinaryInputStream);
        binary.setInputStream(stream);
        text += binary.readBytes(count);
      },
      onStopRequest: (_request, status) =>
        status === 0 ? resolve(text) : reject(new Error(`read in vain: ${status.toString(16)}`)),
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, '', false);
  });
}

/** A search that the server does; the subjects of what it finds. */
function search(path, attribute, text) {
  const session = Cc['@mozilla.org/messenger/searchSession;1'].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(path));
  const term = session.createTerm();
  const value = term.value;
  term.attrib = value.attrib = Ci.nsMsgSearchAttrib[attribute];
  value.str = text;
  term.value = value;
  term.op = Ci.nsMsgSearchOp.Contains;
  session.appendTerm(term);
  return new Promise((resolve, reject) => {
    const found = [];
    session.registerListener({
      QueryInterface: ChromeUtils.generateQI(['nsIMsgSearchNotify']),
      onNewSearch() {},
      onSearchHit: (header) => found.push(header.mime2DecodedSubject),
      onSearchDone: (status) =>
        status === 0 ? resolve(found.sort()) : reject(new Error(`searched in vain: ${status.toString(16)}`)),
    });
    session.search(null);
  });
}

function send({ to, subject, body }) {
  const identity = MailServices.accounts.accounts[0].defaultIdentity;
  const fields = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(Ci.nsIMsgCompFields);
  fields.from = identity.email;
  fields.to = to;
  fields.subject = subject;
  const sending = Cc['@mozilla.org/messengercompose/send;1'].createInstance(Ci.nsIMsgSend);
  return new Promise((resolve, reject) => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(['nsIMsgSendListener', 'nsIMsgCopyServiceListener']),
      onStartSending() {},
      onSendProgress() {},
      onStatus() {},
      onGetDraftFolderURI() {},
      onTransportSecurityError() {},
      onSendNotPerformed: () => reject(new Error('not sent')),
      onStopSending(_id, status) {
        if (status !== 0) reject(new Error(`sent in vain: ${status.toString(16)}`));
      },
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      // The copy in Sent is the last step.
      onStopCopy: (status) =>
        status === 0 ? resolve() : reject(new Error(`no copy kept: ${status.toString(16)}`)),
    };
    sending.createAndSendMessage(
      null,
      identity,
      MailServices.accounts.accounts[0].key,
      fields,
      false,
      false,
      Ci.nsIMsgSend.nsMsgDeliverNow,
      null,
      'text/plain',
      body,
      null,
      null,
      listener,
      '',
      '',
      Ci.nsIMsgCompType.New,
    );
  });
}

async function keepPassword({ url, user, password }) {
  const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
  login.init(url, null, url, user, password, '', '');
  await Services.logins.addLoginAsync(login);
}

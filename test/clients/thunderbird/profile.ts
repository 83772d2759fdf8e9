import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProfileOptions {
  readonly user: string;
  readonly imapPort: number;
  readonly submissionPort: number;
}

/** Writes what a person would answer in the account assistant, and switches off all that would go to the internet. */
export function writeProfile(directory: string, { user, imapPort, submissionPort }: ProfileOptions): void {
  const root = `imap://${encodeURIComponent(user)}@127.0.0.1`;
  const server = {
    type: 'imap',
    hostname: '127.0.0.1',
    port: imapPort,
    userName: user,
    name: user,
    socketType: 0,
    authMethod: 3,
    login_at_startup: false,
    check_new_mail: false,
    use_idle: true,
    use_condstore: true,
    delete_model: 1,
    autosync_offline_stores: false,
    max_cached_connections: 5,
  };
  const smtp = { hostname: '127.0.0.1', port: submissionPort, username: user, authMethod: 3, try_ssl: 0 };
  const identity = {
    useremail: user,
    fullName: 'Alice',
    smtpServer: 'smtp1',
    fcc: true,
    fcc_folder: `${root}/Sent`,
    fcc_folder_picker_mode: 1,
    valid: true,
  };
  const prefs = {
    'mail.accountmanager.accounts': 'account1,account2',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.accountmanager.localfoldersserver': 'server2',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.account.account2.server': 'server2',
    'mail.server.server2.type': 'none',
    'mail.server.server2.hostname': 'Local Folders',
    'mail.server.server2.userName': 'nobody',
    'mail.server.server2.name': 'Local Folders',
    'mail.smtpservers': 'smtp1',
    'mail.smtp.defaultserver': 'smtp1',
    ...under('mail.server.server1', server),
    ...under('mail.smtpserver.smtp1', smtp),
    ...under('mail.identity.id1', identity),
    'marionette.port': 0,
    'network.proxy.type': 1,
    'network.proxy.http': '127.0.0.1',
    'network.proxy.http_port': 9,
    'network.proxy.ssl': '127.0.0.1',
    'network.proxy.ssl_port': 9,
    'network.proxy.no_proxies_on': '127.0.0.1',
    'app.update.enabled': false,
    'app.normandy.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'mail.inappnotifications.enabled': false,
    'mail.provider.suppress_dialog_on_startup': true,
    'mail.rights.version': 1,
    'mail.shell.checkDefaultClient': false,
    'mail.spam.logging.enabled': false,
    'mailnews.confirm.moveFoldersToTrash': false,
    'mailnews.start_page.enabled': false,
    'mail.imap.filter_on_new': false,
    'extensions.update.enabled': false,
    'services.settings.server': 'http://127.0.0.1:9/',
    'toolkit.telemetry.enabled': false,
  };
  const lines = Object.entries(prefs).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(directory, 'user.js'), lines.join(''));
}

function under<T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
}

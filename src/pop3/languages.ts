import { type Catalogue, inLanguage, type Language } from '../lib/language.ts';

/** The French of all texts that people may get to read (LANG, RFC 6856 3). A new text has its line here. */
const FRENCH: Catalogue = {
  texts: new Map([
    ['APOP is not offered here', 'APOP n’est pas proposé ici'],
    ['STLS comes before UTF8', 'STLS vient avant UTF8'],
    ['UTF-8 from now on', 'UTF-8 désormais'],
    ['USER comes first', 'USER vient d’abord'],
    ['a message number is missing', 'il manque un numéro de message'],
    ['a name and a digest are expected', 'un nom et une empreinte sont attendus'],
    ['a name is missing', 'il manque un nom'],
    ['a number of lines is missing', 'il manque un nombre de lignes'],
    ['a password is missing', 'il manque un mot de passe'],
    ['an argument is missing', 'il manque un argument'],
    ['an empty response was expected', 'une réponse vide était attendue'],
    ['another session has the maildrop', 'une autre session occupe la boîte'],
    ['authentication cancelled', 'authentification annulée'],
    ['authentication is not possible at the moment', 'l’authentification est impossible pour le moment'],
    ['begin TLS', 'commencez TLS'],
    ['bye', 'au revoir'],
    ['capability list follows', 'la liste des capacités suit'],
    ['internal error, try again later', 'erreur interne, réessayez plus tard'],
    ['language listing follows', 'la liste des langues suit'],
    ['line too long', 'ligne trop longue'],
    ['log in first', 'identifiez-vous d’abord'],
    ['mechanisms follow', 'les mécanismes suivent'],
    ['no such language', 'langue inconnue'],
    ['no such mechanism', 'mécanisme inconnu'],
    ['no such message', 'message inconnu'],
    ['not after login', 'pas après l’identification'],
    ['not without encryption: use STLS first', 'pas sans chiffrement : utilisez d’abord STLS'],
    ['send the password', 'envoyez le mot de passe'],
    ['still here', 'toujours là'],
    [
      'that message is gone, another session has removed it',
      'ce message n’est plus là, une autre session l’a supprimé',
    ],
    ['the authentication exchange is malformed', 'l’échange d’authentification est mal formé'],
    ['the client is gone', 'le client est parti'],
    ['the connection is encrypted already', 'la connexion est déjà chiffrée'],
    ['the exchange does not end', 'l’échange ne finit pas'],
    ['the maildrop cannot be used at the moment', 'la boîte est inutilisable pour le moment'],
    ['the maildrop cannot be used', 'la boîte est inutilisable'],
    ['this command has no arguments', 'cette commande n’a pas d’arguments'],
    ['this is not UTF-8', 'ce n’est pas de l’UTF-8'],
    ['this is not base64', 'ce n’est pas du base64'],
    ['this message needs UTF8', 'ce message demande UTF8'],
    ['this name or password cannot be one', 'ce nom ou mot de passe n’en peut être un'],
    ['this language from now on', 'cette langue désormais'],
    ['too many arguments', 'trop d’arguments'],
    ['too many errors', 'trop d’erreurs'],
    ['too many failed logins, try again later', 'trop d’identifications manquées, réessayez plus tard'],
    ['top of message follows', 'le début du message suit'],
    ['unknown command', 'commande inconnue'],
    ['wrong name or password', 'nom ou mot de passe erroné'],
  ]),
  // Anchored, so that data such as a STAT's never matches.
  forms: [
    [/^(\d+) messages \((\d+) octets\)$/, '$1 messages ($2 octets)'],
    [/^message (\d+) is marked as deleted$/, 'le message $1 est marqué comme supprimé'],
    [/^message (\d+) marked as deleted$/, 'message $1 marqué comme supprimé'],
    [/^log in once in (\d+) seconds only$/, 'une identification toutes les $1 secondes au plus'],
  ],
};

/** The English text in that language. */
export function textIn(language: Language, text: string): string {
  return inLanguage(language, text, FRENCH);
}

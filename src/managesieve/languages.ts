import { type Catalogue, inLanguage, type Language } from '../lib/language.ts';

/** The French of all texts that people may get to read. A new text has its line here. */
const FRENCH: Catalogue = {
  texts: new Map([
    ['Facteur ManageSieve ready', 'Facteur ManageSieve prêt'],
    ['a command is expected', 'une commande est attendue'],
    ['a number is expected', 'un nombre est attendu'],
    ['a string is expected', 'une chaîne est attendue'],
    ['an argument is missing', 'il manque un argument'],
    ['an argument is no string and no number', 'un argument n’est ni une chaîne ni un nombre'],
    ['authentication cancelled', 'authentification annulée'],
    ['authentication is not possible at the moment', 'l’authentification est impossible pour le moment'],
    ['begin TLS', 'commencez TLS'],
    ['bye', 'au revoir'],
    ['done', 'c’est fait'],
    ['internal error, try again later', 'erreur interne, réessayez plus tard'],
    ['log in first', 'identifiez-vous d’abord'],
    ['no such mechanism', 'mécanisme inconnu'],
    ['not after login', 'pas après l’identification'],
    ['not without encryption: use STARTTLS first', 'pas sans chiffrement : utilisez d’abord STARTTLS'],
    ['that cannot be the name of a script', 'cela ne peut être le nom d’un script'],
    ['that is not possible', 'ce n’est pas possible'],
    ['that is too much for one command', 'c’est trop pour une commande'],
    ['the active script cannot be deleted', 'le script actif ne peut être supprimé'],
    ['the authentication exchange is malformed', 'l’échange d’authentification est mal formé'],
    ['the client is gone', 'le client est parti'],
    ['the command has no end', 'la commande n’a pas de fin'],
    ['the connection is encrypted already', 'la connexion est déjà chiffrée'],
    ['the exchange does not end', 'l’échange ne finit pas'],
    ['the line is too long', 'la ligne est trop longue'],
    ['the script is too big', 'le script est trop grand'],
    ['the server stops, come back soon', 'le serveur s’arrête, revenez bientôt'],
    ['the string is too big', 'la chaîne est trop grande'],
    ['there is a script of that name already', 'il y a déjà un script de ce nom'],
    ['there is no room for more scripts', 'il n’y a plus de place pour des scripts'],
    [
      'there is no room on the disk, try again later',
      'il n’y a plus de place sur le disque, réessayez plus tard',
    ],
    ['there is no script of that name', 'il n’y a pas de script de ce nom'],
    ['this command has no arguments', 'cette commande n’a pas d’arguments'],
    ['this is not UTF-8', 'ce n’est pas de l’UTF-8'],
    ['this is not base64', 'ce n’est pas du base64'],
    ['too many arguments', 'trop d’arguments'],
    ['too many connections, try again later', 'trop de connexions, réessayez plus tard'],
    ['too many errors', 'trop d’erreurs'],
    ['too many failed logins, try again later', 'trop d’identifications manquées, réessayez plus tard'],
    ['unknown command', 'commande inconnue'],
    ['wrong name or password', 'nom ou mot de passe erroné'],
    ['you were silent for too long', 'vous êtes resté trop longtemps sans rien dire'],
  ]),
  forms: [],
};

/** The English text in that language. */
export function textIn(language: Language, text: string): string {
  return inLanguage(language, text, FRENCH);
}

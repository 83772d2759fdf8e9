/**
 * What people may get to read of a protocol, in the languages of IMAP's LANGUAGE (RFC 5255 3) and POP3's LANG (RFC 6856
 * 3). English is what the code says; the others are looked up by the English text, in a catalogue that each room has of
 * its own texts. A text without a translation is English and never missing.
 */
export type Language = 'en' | 'fr';

/** Each in its own language, for lists. */
export const LANGUAGES: Readonly<Record<Language, string>> = { en: 'English', fr: 'Français' };

/** The French of a room's texts. */
export interface Catalogue {
  readonly texts: ReadonlyMap<string, string>;
  /** Texts with names or numbers in them, tried in their order: anchored, `$1` in the French is what stood there. */
  readonly forms: readonly (readonly [RegExp, string])[];
}

/** The English text in that language. */
export function inLanguage(language: Language, text: string, french: Catalogue): string {
  if (language === 'en') return text;
  const whole = french.texts.get(text);
  if (whole !== undefined) return whole;
  for (const [form, translation] of french.forms) if (form.test(text)) return text.replace(form, translation);
  return text;
}

/** The best language for a range, as by lookup (RFC 4647 3.4): `fr-CA` gets `fr`. */
export function languageFor(range: string): Language | undefined {
  const parts = range.toLowerCase().split('-');
  for (; parts.length > 0; parts.pop()) {
    const tag = parts.join('-');
    if (tag === 'en' || tag === 'fr') return tag;
  }
  return undefined;
}

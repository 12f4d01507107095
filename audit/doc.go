// Package audit is the evidence: what the rules were, what happened, who was told
// when, and whether that was on time. It reads the store and decides nothing.
//
//   - [Verify] and [VerifyExport] find out whether a store, or an export, is as it was
//     written.
//   - [MakeReport] measures a time span against the promises that were made in it.
//   - [Export] hands on a selection of incidents with the proof that nothing in it was
//     changed.
//   - [Stepper] tells one incident in the steps of ITIL, and shows a gap as a gap.
//   - [Compare] says what changed from one configuration to the next.
//
// Whether a message was on time is judged by what was recorded when it was made: the
// time by which it was promised, and the time at which it was handed over. [Judge]
// says how.
package audit

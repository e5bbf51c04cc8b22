//! What becomes of an answer with points: a result for each.

use fieldledger_attest::tables::KnownKeys;
use fieldledger_wire::batch::Outcome;
use fieldledger_wire::points::{MAX_POINTS, Point, Points};

use super::polls::with_reply;
use crate::error_chain::chain;
use crate::moment::Moment;
use crate::poll_book::Flight;
use crate::poll_result::{PollResult, empty_result};
use crate::sensor::Sensor;

/// The most remarks that a person is shown of one answer.
const MAX_REMARKS: usize = 8;

/// A result for each point, under the number of the poll and the point's own id.
pub(super) fn point_results(
    sensor: &mut Sensor,
    known: &mut KnownKeys,
    flight: Flight,
    points: Points,
    outcome: Outcome,
    now: Moment,
) -> Vec<PollResult> {
    let mut remarks: Vec<String> = points
        .remarks
        .iter()
        .map(|remark| format!("answer: {remark}"))
        .collect();
    let mut results = Vec::with_capacity(points.points.len());
    // The answer counts once, however many points it has.
    let mut counted = None;
    let device = sensor.profile.clone();
    for Point { name, answer } in points.points {
        let Some((id, profile)) = sensor.points.of(flight.sensor, &device, name) else {
            remarks.push(format!(
                "answer: a point is left out, for the device has named {MAX_POINTS} others"
            ));
            continue;
        };
        let result = match answer {
            Ok(reply) => {
                let result = with_reply(sensor, known, flight, reply, outcome, counted.take(), now);
                remarks.append(&mut sensor.answer_remarks);
                counted = Some(result.remark.clone());
                result
            }
            // Late and no number: the poll is already recorded, and there is nothing to add.
            Err(_) if outcome == Outcome::Late => continue,
            Err(unparsable) => {
                let flaw = format!("the answer is no number: {}", chain(&unparsable.reason));
                remarks.push(flaw.clone());
                PollResult {
                    text: unparsable.text,
                    flaw,
                    ..empty_result(sensor, flight, Outcome::Unparsable, now)
                }
            }
        };
        results.push(PollResult {
            sensor: id,
            profile,
            // A device may forget an answer only when all of its points are stored, and those travel in
            // more than one batch.
            receipt: None,
            ..result
        });
    }
    remarks.dedup();
    remarks.truncate(MAX_REMARKS);
    sensor.answer_remarks = remarks;
    results
}

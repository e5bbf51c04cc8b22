//! The points of a device, each of which is a sensor of its own in the log.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use fieldledger_wire::batch::SensorProfile;
use fieldledger_wire::points::MAX_POINTS;
use uuid::Uuid;

/// The points that a device has named, as its answers have them recorded.
///
/// A point's id is the UUID of version 5 (RFC 9562, section 5.5) of its name below its device's id: whoever
/// knows both can compute it, and it is the same in every run.
#[derive(Debug, Default)]
pub(crate) struct PointProfiles {
    /// The device's own profile, of which those of the points are made.
    device: Option<Arc<SensorProfile>>,
    points: HashMap<String, (Uuid, Arc<SensorProfile>)>,
}

impl PointProfiles {
    /// Of a point of this device; none where it has named [`MAX_POINTS`] others.
    pub(crate) fn of(
        &mut self,
        device: Uuid,
        profile: &Arc<SensorProfile>,
        name: String,
    ) -> Option<(Uuid, Arc<SensorProfile>)> {
        let is_same = |known: &Arc<SensorProfile>| Arc::ptr_eq(known, profile);
        if !self.device.as_ref().is_some_and(is_same) {
            // What the points are called and where they are has changed; which there are, has not.
            self.device = Some(Arc::clone(profile));
            for (name, (id, point)) in &mut self.points {
                *point = Arc::new(profile_of(*id, profile, name));
            }
        }
        let has_room = self.points.len() < MAX_POINTS;
        match self.points.entry(name) {
            Entry::Occupied(known) => Some(known.get().clone()),
            Entry::Vacant(free) if has_room => {
                let id = Uuid::new_v5(&device, free.key().as_bytes());
                let point = Arc::new(profile_of(id, profile, free.key()));
                Some(free.insert((id, point)).clone())
            }
            Entry::Vacant(_) => None,
        }
    }
}

/// A device declares no unit, range or calibration of its points.
fn profile_of(id: Uuid, device: &SensorProfile, name: &str) -> SensorProfile {
    SensorProfile {
        id: id.to_string(),
        alias: format!("{}/{name}", device.alias),
        location: device.location.clone(),
        unit: String::new(),
        range: None,
        calibration: None,
        unit_sent: String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEVICE: Uuid = Uuid::from_u128(0xf308_8463_5623_476f_a1b5_ecb4_9446_a443);

    fn device(alias: &str) -> Arc<SensorProfile> {
        Arc::new(SensorProfile {
            id: DEVICE.to_string(),
            alias: alias.to_owned(),
            location: "Hall 2".to_owned(),
            unit: "Cel".to_owned(),
            range: None,
            calibration: None,
            unit_sent: String::new(),
        })
    }

    #[test]
    fn a_point_keeps_its_id_whatever_the_device_is_called() {
        let mut points = PointProfiles::default();
        let (id, inlet) = points.of(DEVICE, &device("plc"), "inlet".into()).unwrap();
        let (again, renamed) = points.of(DEVICE, &device("PLC 7"), "inlet".into()).unwrap();
        assert_eq!(
            (&*inlet.alias, &*renamed.alias),
            ("plc/inlet", "PLC 7/inlet")
        );
        assert_eq!((id, id.to_string()), (again, inlet.id.clone()));
        let other = points
            .of(Uuid::nil(), &device("plc"), "outlet".into())
            .unwrap();
        assert_ne!(other.0, id);
        assert_eq!(id, Uuid::new_v5(&DEVICE, b"inlet"));
    }

    #[test]
    fn a_device_cannot_name_points_without_end() {
        let (mut points, plc) = (PointProfiles::default(), device("plc"));
        for number in 0..MAX_POINTS {
            assert!(points.of(DEVICE, &plc, number.to_string()).is_some());
        }
        assert!(points.of(DEVICE, &plc, "one more".into()).is_none());
        assert!(points.of(DEVICE, &plc, "7".into()).is_some());
    }
}

import Foundation
import HTTPTypes
import Integrity
import Model
import ObjectStore
import S3

/// What the admin listener says of the store's health: whether it is proved, by when, and what is under way.
extension StatusResponder {
    /// Green is 200, anything else 503: for a probe that pages somebody.
    func green() -> ServiceResponse {
        do {
            let health = try scrub.health()
            let body = try CommandJSON.line(HealthLine(health)) + "\n"
            return text(health.isGreen ? .ok : .serviceUnavailable, body, type: "application/json")
        } catch {
            return text(.serviceUnavailable, "\(error)\n")
        }
    }
}

import Model

extension EventRestoreEnded {
    /// Owners whose accounts stand in a sentence; the event has more.
    private static let namedLimit = 8

    /// "restore of bucket photos from snapshot monday in nas, in place, complete: 2 restored of 9 bytes, …".
    var summary: String {
        let source =
            snapshot.isEmpty ? "the store at event \(sequence)" : "snapshot \(snapshot) in \(repository)"
        let place =
            switch target {
            case .bucket: "into bucket \(targetName)"
            case .directory: "out to \(targetName)"
            default: "in place"
            }
        let over = overwrites ? ", over what is newer" : ""
        let cause = incident == 0 ? "" : ", of incident \(incident)"
        return
            "restore of \(unit) from \(source), \(place)\(over)\(cause), \(complete ? "complete" : "NOT COMPLETE"): \(total.counts)"
    }

    /// The same with what it came to for owners.
    var sentence: String {
        let named = owners.prefix(Self.namedLimit).map { account in
            let name = account.ownerDisplayName.isEmpty ? account.owner : account.ownerDisplayName
            return "; \(name.isEmpty ? "of nobody" : "owner \(name)"): \(account.counts)"
        }
        let more = UInt64(owners.count) + furtherOwners - UInt64(named.count)
        return summary + named.joined() + (more == 0 ? "" : "; \(counted(more, "more owner"))")
    }
}

extension EventRestoreAccount {
    fileprivate var counts: String {
        "\(restored) restored of \(counted(restoredBytes, "byte")), \(present) there already, \(newer) newer in the store, \(failed) failed"
    }
}

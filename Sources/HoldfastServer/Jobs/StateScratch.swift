import Foundation

/// What stands in the state directory for as long as something is at work.
package enum StateScratch {
    /// Removes what a process that was killed left; nothing else reads it. Releases before this one left lists of blobs, too.
    package static func clear(_ directory: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name.hasPrefix("snapshot-") && name.contains(".sqlite") || name.hasPrefix("drill-")
            || name.hasPrefix("blobs-")
        {
            try FileManager.default.removeItem(atPath: directory + "/" + name)
        }
    }
}

import Integrity

/// What can be done to a store, each with the class of `Documentation/fault-matrix.md` that a check must call it.
enum FaultClass: String, CaseIterable {
    // One replica of a large object.
    case missing
    case flipData = "flip-data"
    case flipTable = "flip-table"
    case flipDescriptor = "flip-descriptor"
    case flipFooter = "flip-footer"
    case truncateByte = "truncate-byte"
    case truncateBlock = "truncate-block"
    case truncateZero = "truncate-zero"
    case extend
    case hole
    case swap
    case swapVolumes = "swap-volumes"
    case older
    case foreignReplica = "foreign-replica"
    case unreadable
    case noPermission = "no-permission"

    // Files that no object explains.
    case duplicate
    case orphan
    case leftover
    case foreign
    case nameCase = "name-case"

    // One event on one mirror of the log, or a whole segment or mirror.
    case frameBody = "frame-body"
    case frameHeader = "frame-header"
    case framePayload = "frame-payload"
    case frameMissing = "frame-missing"
    case frameSwapped = "frame-swapped"
    case frameForked = "frame-forked"
    case segmentLost = "segment-lost"
    case segmentHeader = "segment-header"
    case mirrorShort = "mirror-short"
    case mirrorLong = "mirror-long"

    // The catalog.
    case rowMissing = "row-missing"
    case rowExtra = "row-extra"
    case rowAltered = "row-altered"
    case references
    case tags
    case retention
    case catalogDamaged = "catalog-damaged"

    // Whole volumes.
    case volumeMissing = "volume-missing"
    case volumeEmpty = "volume-empty"
    case volumesExchanged = "volumes-exchanged"
    case volumeForeign = "volume-foreign"

    enum Kind { case replica, file, log, catalog, volume }

    var kind: Kind {
        switch self {
        case .missing, .flipData, .flipTable, .flipDescriptor, .flipFooter, .truncateByte, .truncateBlock,
            .truncateZero, .extend, .hole, .swap, .swapVolumes, .older, .foreignReplica, .unreadable,
            .noPermission:
            .replica
        case .duplicate, .orphan, .leftover, .foreign, .nameCase: .file
        case .frameBody, .frameHeader, .framePayload, .frameMissing, .frameSwapped, .frameForked,
            .segmentLost, .segmentHeader, .mirrorShort, .mirrorLong:
            .log
        case .rowMissing, .rowExtra, .rowAltered, .references, .tags, .retention, .catalogDamaged: .catalog
        case .volumeMissing, .volumeEmpty, .volumesExchanged, .volumeForeign: .volume
        }
    }

    var code: FindingCode {
        switch self {
        case .missing: .missingReplica
        case .flipData: .corruptBlock
        case .flipTable, .flipDescriptor, .flipFooter: .damagedTrailer
        case .truncateByte, .truncateBlock, .truncateZero: .truncatedFile
        case .extend: .extendedFile
        case .hole: .hole
        case .swap: .wrongIdentity
        case .swapVolumes: .otherVolume
        case .older: .olderVersion
        case .foreignReplica: .foreignStoreReplica
        case .unreadable: .unreadable
        case .noPermission: .permissionDenied
        case .duplicate: .duplicateFile
        case .orphan: .orphanFile
        case .leftover: .leftover
        case .foreign: .foreignFile
        case .nameCase: .nameVariant
        case .frameBody, .frameHeader, .framePayload, .frameMissing: .damagedFrame
        case .frameSwapped: .misplacedFrame
        case .frameForked: .divergedMirror
        case .segmentLost: .missingSegment
        case .segmentHeader: .damagedSegment
        case .mirrorShort: .shortMirror
        case .mirrorLong: .longMirror
        case .rowMissing: .catalogRowMissing
        case .rowExtra: .catalogRowExtra
        case .rowAltered: .catalogDiffers
        case .references: .catalogReferences
        case .tags: .catalogTags
        case .retention: .catalogLock
        case .catalogDamaged: .damagedCatalog
        case .volumeMissing, .volumeEmpty: .volumeOut
        case .volumesExchanged: .misplacedVolume
        case .volumeForeign: .foreignVolume
        }
    }

    /// The same damage to an object whose bytes stand in the log; `nil` where that has no such part.
    var inLog: FaultClass? {
        switch self {
        case .missing: .frameMissing
        case .flipData: .framePayload
        case .flipDescriptor: .frameBody
        case .flipFooter: .frameHeader
        default: nil
        }
    }
}

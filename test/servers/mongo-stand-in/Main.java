import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.backend.memory.index.MemoryUniqueIndex;
import de.bwaldvogel.mongo.bson.Document;
import java.net.InetSocketAddress;
import java.util.List;

/**
 * A server that speaks enough of MongoDB's protocol for the store's tests, where no mongod can be had.
 * Arguments: port (0 for any free one), and optionally a file to keep the data in. Prints "listening PORT" when it
 * serves. Ends when its standard input does, that is, with the process that started it, however that one ended.
 */
public class Main {
  public static void main(String[] arguments) throws Exception {
    // The official driver asks for wire version 9 or more; the newest that this library names is 8.
    MongoVersion version = new MongoVersion() {
      @Override
      public List<Integer> getVersionArray() {
        return List.of(5, 0, 0);
      }

      @Override
      public int getWireVersion() {
        return 13;
      }
    };
    var backend = arguments.length > 1 ? new H2Backend(arguments[1]) : new IdFirstBackend();
    MongoServer server = new MongoServer(backend.version(version));
    InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
    server.bind(address);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    System.out.println("listening " + server.getLocalAddress().getPort());
    while (System.in.read() >= 0) {}
    System.exit(0);
  }

  /**
   * The library uses an index only for a query of exactly its fields, and scans the collection for every other: reading one
   * document by id and shard key would take as long as there are documents. Here the id leads to its document whatever else
   * is asked of it, as in a mongod.
   */
  static class IdFirstBackend extends MemoryBackend {
    @Override
    public MemoryDatabase openOrCreateDatabase(String name) {
      return new IdFirstDatabase(name, getCursorRegistry());
    }
  }

  static class IdFirstDatabase extends MemoryDatabase {
    IdFirstDatabase(String name, CursorRegistry cursors) {
      super(name, cursors);
    }

    @Override
    protected Index<Integer> openOrCreateUniqueIndex(
        String collection, String name, List<IndexKey> keys, boolean sparse) {
      boolean isId = keys.size() == 1 && keys.get(0).getKey().equals("_id");
      return isId ? new IdIndex(name, keys, sparse) : super.openOrCreateUniqueIndex(collection, name, keys, sparse);
    }
  }

  static class IdIndex extends MemoryUniqueIndex {
    IdIndex(String name, List<IndexKey> keys, boolean sparse) {
      super(name, keys, sparse);
    }

    private static Document idOf(Document query) {
      return new Document("_id", query.get("_id"));
    }

    @Override
    public synchronized boolean canHandle(Document query) {
      return query.containsKey("_id") && super.canHandle(idOf(query));
    }

    @Override
    public synchronized Iterable<Integer> getPositions(Document query) {
      return super.getPositions(idOf(query));
    }
  }
}

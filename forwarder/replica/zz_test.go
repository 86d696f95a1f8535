package replica
import ("testing";"fmt";"time")
func TestZZ(t *testing.T){
 s:=openNew(t); apply(t,s,benchIdentity())
 for i:=0;i<400000;i+=50000 { objs:=benchObjects(uint64(100+i),50000,1); c:=cpuTime(); b:=time.Now(); applyAll(t,s,objs); fmt.Printf("%d: %.2fs cpu %.1f us/obj\n",i,time.Since(b).Seconds(),float64((cpuTime()-c).Microseconds())/50000)}
}

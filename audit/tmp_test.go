package audit_test
import ("testing";"time";"sitrep/audit";"os")
func TestTmp(t *testing.T){
 bubble(t, func(t *testing.T){
  real0:=time.Now()
  w:=makeYear(t, yearSize()); defer w.close()
  _=real0
  rep,err:=audit.MakeReport(t.Context(), w.store, audit.ReportOptions{Now: now()})
  if err!=nil {t.Fatal(err)}
  f,_:=os.Create("/tmp/report.html"); rep.WriteHTML(f); f.Close()
  f,_=os.Create("/tmp/report.json"); rep.WriteJSON(f); f.Close()
  f,_=os.Create("/tmp/report.csv"); rep.WriteCSV(f); f.Close()
  t.Log(len(w.far.log), rep.Total)
 })
}
